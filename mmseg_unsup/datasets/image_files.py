"""Finding images below a folder, with errors that say what to do."""
import os
import os.path as osp
from typing import List

from mmengine.fileio import list_from_file

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')


def find_images(root: str) -> List[str]:
    """Paths of all images below ``root``, links to folders included, sorted so that every machine gets one order.

    Raises:
        FileNotFoundError: ``root`` does not exist.
        ValueError: it is no folder, or no file below it has an image suffix.
    """
    check_folder(root)
    paths = sorted(
        osp.join(folder, name) for folder, _, names in os.walk(root, followlinks=True) for name in names
        if name.lower().endswith(IMAGE_SUFFIXES))
    if not paths:
        raise ValueError(f'no image found below {root}: expected files ending in {", ".join(IMAGE_SUFFIXES)}')
    return paths


def check_folder(root: str, remedy: str = 'set data_root (--cfg-options data_root=PATH)') -> None:
    """Raise the error that fits when ``root`` is no folder."""
    if not osp.exists(root):
        raise FileNotFoundError(f'the image folder {root!r} does not exist: {remedy}')
    if not osp.isdir(root):
        raise ValueError(f'the image folder {root!r} is a file: {remedy}')


def check_list(path: str) -> None:
    """Raise ValueError unless every line of a list file names a file below the image folder."""
    for number, line in enumerate(list_from_file(path), start=1):
        name = line.strip().replace('\\', '/')
        if not name or name.startswith('/') or '..' in name.split('/'):
            raise ValueError(f"line {number} of the list {path!r} is {line!r}: expected the name of an image without "
                             "its suffix, relative to the image folder and without '..'")
