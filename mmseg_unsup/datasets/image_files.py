"""Finding images below a folder, with errors that say what to do."""
import os
import os.path as osp
from typing import FrozenSet, Iterator, List

from mmengine.fileio import list_from_file

from ..utils.paths import is_outside

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')


def find_images(root: str) -> List[str]:
    """Paths of all images below ``root``, sorted so that every machine gets one order.

    Links are followed, wherever they lead: they belong to the folder. A folder is never an image, whatever its name; a
    link to nothing may be one, which then cannot be read.

    Raises:
        FileNotFoundError: ``root`` does not exist.
        ValueError: it is no folder, or no file below it has an image suffix.
        OSError: a folder below it cannot be listed.
    """
    check_folder(root)
    paths = sorted(path for path in walk_files(root) if path.lower().endswith(IMAGE_SUFFIXES))
    if not paths:
        raise ValueError(f'no image found below {root}: expected files ending in {", ".join(IMAGE_SUFFIXES)}')
    return paths


def walk_files(folder: str, _above: FrozenSet[str] = frozenset()) -> Iterator[str]:
    """Paths of everything below a folder that is no folder; a link to a folder that it lies in ends there."""
    real = osp.realpath(folder)
    if real in _above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from walk_files(entry.path, _above | {real})
            else:
                yield entry.path


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
