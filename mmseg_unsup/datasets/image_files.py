"""Finding images below a folder, with errors that say what to do."""
import os
import os.path as osp
from collections import Counter
from typing import Callable, FrozenSet, Iterator, List

from mmengine.fileio import list_from_file

from ..utils.console import say
from ..utils.paths import is_outside, printable

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')
# pictures that are not read: animations and drawings, kinds that OpenCV may lack, and what cameras write beside JPEGs
OTHER_SUFFIXES = ('.gif', '.svg', '.psd', '.heic', '.heif', '.avif', '.jxl', '.jp2', '.raw', '.dng', '.cr2', '.cr3',
                  '.crw', '.nef', '.nrw', '.arw', '.sr2', '.srw', '.raf', '.orf', '.rw2', '.pef', '.3fr', '.iiq',
                  '.x3f')
_DOUBLE = '._'  # macOS keeps what other file systems have no place for in a file of this prefix
# In a folder that this package writes pictures to: folders of images leave it out.
MARK = '.written_by_mmseg_unsup'
_told = set()


def find_images(root: str) -> List[str]:
    """Paths of all images below ``root``, sorted so that every machine gets one order.

    Links are followed, wherever they lead: they belong to the folder. A folder is never an image, whatever its name; a
    link to nothing or to itself may be one, which then cannot be read. Folders that :func:`mark_output` has marked are
    left out, and so are other kinds of pictures; the log says how many.

    Raises:
        FileNotFoundError: ``root`` does not exist.
        ValueError: it is no folder, or no file below it has an image suffix.
        OSError: a folder below it cannot be listed.
    """
    check_folder(root)
    paths, left_out = [], Counter()
    for path in walk_files(root):
        suffix = osp.splitext(path)[1].lower()
        if osp.basename(path) == MARK:
            left_out['folders that this package wrote'] += osp.dirname(path) != osp.normpath(root)
        elif suffix in IMAGE_SUFFIXES and osp.basename(path).startswith(_DOUBLE):
            left_out[f'{_DOUBLE}* of macOS'] += 1
        elif suffix in IMAGE_SUFFIXES:
            paths.append(path)
        elif suffix in OTHER_SUFFIXES:
            left_out[suffix] += 1
    listing = ', '.join(f'{count} {kind}' for kind, count in sorted(left_out.items()) if count)
    if not paths:
        raise ValueError(f'no image found below {printable(root)}: expected files ending in {", ".join(IMAGE_SUFFIXES)}'
                         + (f'; there are {listing}, which are not read: convert them to JPEG' if listing else ''))
    if listing:
        _tell_once(f'left out below {printable(root)}, as no images that are read: {listing}')
    return sorted(paths)


def walk_files(folder: str, _above: FrozenSet[str] = frozenset()) -> Iterator[str]:
    """Paths of all files below a folder, and of links to nothing; no pipes or devices. A link to a folder that it lies
    in ends there, and of a marked folder there is only the mark."""
    real = osp.realpath(folder)
    if real in _above:
        return
    if _above and osp.exists(osp.join(folder, MARK)):
        yield osp.join(folder, MARK)
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if _is(entry.is_dir):
                yield from walk_files(entry.path, _above | {real})
            elif _is(entry.is_file) or not osp.exists(entry.path):
                yield entry.path


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
