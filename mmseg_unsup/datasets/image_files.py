"""Finding images below a folder, with errors that say what to do."""
import os
import os.path as osp
from collections import Counter
from contextlib import contextmanager
from typing import Callable, Dict, FrozenSet, Iterator, List, Optional

from mmengine.fileio import list_from_file

from ..utils.console import say
from ..utils.paths import is_outside, printable
from .path_list import PathList

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')
# pictures that are not read: animations and drawings, kinds that OpenCV may lack, and what cameras write beside JPEGs
OTHER_SUFFIXES = ('.gif', '.svg', '.psd', '.heic', '.heif', '.avif', '.jxl', '.jp2', '.raw', '.dng', '.cr2', '.cr3',
                  '.crw', '.nef', '.nrw', '.arw', '.sr2', '.srw', '.raf', '.orf', '.rw2', '.pef', '.3fr', '.iiq',
                  '.x3f')
_DOUBLE = '._'  # macOS keeps what other file systems have no place for in a file of this prefix
# In a folder that this package writes pictures to: folders of images leave it out.
MARK = '.written_by_mmseg_unsup'
_told = set()
_shared: Optional[Dict[str, PathList]] = None  # the real folder -> its images, see sharing_listings


@contextmanager
def sharing_listings() -> Iterator[None]:
    """:func:`find_images` lists a folder once inside the block, or the decorated function, and gives all that ask the
    same list: the data loaders of a run see the same images even where a folder is being filled. Blocks may be nested.
    """
    global _shared
    outer = _shared
    _shared = {} if outer is None else outer
    try:
        yield
    finally:
        _shared = outer


def find_images(root: str) -> PathList:
    """Paths of all images below ``root``, sorted so that every machine gets one order.

    Links are followed, wherever they lead: they belong to the folder. A folder is never an image, whatever its name; a
    link to nothing or to itself may be one, which then cannot be read. Folders that :func:`mark_output` has marked are
    left out, and so are other kinds of pictures; the log says how many. See :func:`sharing_listings`.

    Raises:
        FileNotFoundError: ``root`` does not exist.
        ValueError: it is no folder, or no file below it has an image suffix.
        OSError: a folder below it cannot be listed.
    """
    check_folder(root)
    listings = {} if _shared is None else _shared
    real = osp.realpath(root)
    if real not in listings:
        listings[real] = _list_images(root)
    return listings[real].below(root)


def _list_images(root: str) -> PathList:
    left_out = Counter()
    paths = PathList(root, _image_names(root, left_out))
    listing = ', '.join(f'{count} {kind}' for kind, count in sorted(left_out.items()) if count)
    if not paths:
        raise ValueError(f'no image found below {printable(root)}: expected files ending in {", ".join(IMAGE_SUFFIXES)}'
                         + (f'; there are {listing}, which are not read: convert them to JPEG' if listing else ''))
    if listing:
        _tell_once(f'left out below {printable(root)}, as no images that are read: {listing}')
    return paths


def _image_names(root: str, left_out: Counter) -> Iterator[str]:
    """Names of all images relative to ``root``; counts other pictures by their kind."""
    n_root = len(osp.join(root, ''))
    for path in walk_files(root):
        name = path.rpartition(os.sep)[-1]
        suffix = osp.splitext(name)[1].lower()
        if name == MARK:
            left_out['folders that this package wrote'] += osp.dirname(path) != osp.normpath(root)
        elif suffix in IMAGE_SUFFIXES and name.startswith(_DOUBLE):
            left_out[f'{_DOUBLE}* of macOS'] += 1
        elif suffix in IMAGE_SUFFIXES:
            yield path[n_root:]
        elif suffix in OTHER_SUFFIXES:
            left_out[suffix] += 1


def walk_files(folder: str, _above: FrozenSet[str] = frozenset()) -> Iterator[str]:
    """Paths of all files below a folder, and of links to nothing, in the order of sorted paths; no pipes or devices. A
    link to a folder that it lies in ends there, and of a marked folder there is only the mark."""
    real = osp.realpath(folder)
    if real in _above:
        return
    if _above and osp.exists(osp.join(folder, MARK)):
        yield osp.join(folder, MARK)
        return
    prefix = osp.join(folder, '')
    for name in _list_folder(folder):
        if name.endswith(os.sep):
            yield from walk_files(prefix + name[:-1], _above | {real})
        else:
            yield prefix + name


def _list_folder(folder: str) -> List[str]:
    """Names of what lies in a folder, those of folders with a separator behind them: so sorted, they are in the order
    of the paths below them."""
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if _is(entry.is_dir):
                names.append(entry.name + os.sep)
            elif _is(entry.is_file) or not osp.exists(entry.path):
                names.append(entry.name)
    return sorted(names)


def _is(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError:  # a link to itself
        return False


def check_output(folder: str, images: str) -> None:
    """Raise ValueError if pictures would be written into the folder of the images, in the place of these."""
    if osp.realpath(folder) == osp.realpath(images):
        raise ValueError(f'{printable(folder)} is the folder of the images, and what is written there would take their '
                         'place: give another folder')


def mark_output(folder: str) -> None:
    """Make a folder for pictures that this package writes; :func:`find_images` leaves it out of a folder that holds
    it."""
    os.makedirs(folder, exist_ok=True)
    with open(osp.join(folder, MARK), 'a'):
        pass


def _tell_once(message: str) -> None:
    """Log a message once, though several data sets of a run list the same folder."""
    if message not in _told:
        _told.add(message)
        say(message)


def check_folder(root: str, remedy: str = 'set data_root (--cfg-options data_root=PATH)') -> None:
    """Raise the error that fits when ``root`` is no folder."""
    if not osp.exists(root):
        raise FileNotFoundError(f'the image folder {root!r} does not exist: {remedy}')
    if not osp.isdir(root):
        raise ValueError(f'the image folder {root!r} is a file: {remedy}')


def read_list(path: str, allow_outside: bool = False) -> List[str]:
    """The names of a list file: of images, without suffix, relative to the image folder.

    Args:
        allow_outside: names may be absolute or have ``..``.

    Raises:
        ValueError: a line is empty, or leads out of the image folder.
    """
    names = []
    for number, line in enumerate(list_from_file(path), start=1):
        name = line.strip()
        if not name or not allow_outside and (osp.isabs(name) or name[0] in '/\\' or is_outside(name, osp.curdir)):
            raise ValueError(f"line {number} of the list {path!r} is {line!r}: expected the name of an image without "
                             "its suffix, relative to the image folder and without '..'; allow_outside=True on the "
                             'data set allows other places')
        names.append(name)
    return names
