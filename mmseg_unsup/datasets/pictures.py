"""Reading and writing the pictures of the tools."""
import hashlib
import os
import os.path as osp
from typing import Callable, Optional, Tuple

import cv2
import numpy as np
from PIL import Image

from .errors import LabelError
from .image_files import IMAGE_SUFFIXES
from .transforms.loading import LoadImage, read_unchanged
from ..utils.atomic import MAX_NAME, replacing
from ..utils.paths import printable


def read_rgb(path: str) -> np.ndarray:
    """Read an image as (H, W, 3) uint8 RGB; UnreadableImageError where it cannot be used."""
    return np.ascontiguousarray(LoadImage(min_size=1).transform(dict(img_path=path))['img'][..., ::-1])


def map_name(image: str) -> str:
    """Name of the map of an image, which no other image below the same folder has.

    ``x.png`` keeps its name. Other suffixes stay part of the name, so that ``x.jpg`` has ``x.jpg.png``, and
    ``x.jpg.png`` has ``x.jpg.png.png``. A name that would become too long for a file system is cut and has a digest at
    its end.
    """
    stem, suffix = osp.splitext(image)
    return image if suffix == '.png' and not stem.lower().endswith(IMAGE_SUFFIXES) else _with_suffix(image, '.png')


def _with_suffix(path: str, suffix: str) -> str:
    folder, name = osp.split(path)
    if len(os.fsencode(name + suffix)) > MAX_NAME:
        digest = f'-{hashlib.sha1(os.fsencode(name)).hexdigest()[:16]}{suffix}'
        name, suffix = os.fsencode(name)[:MAX_NAME - len(digest)].decode('utf-8', 'ignore'), digest
    return osp.join(folder, name + suffix)


def check_picture(path: str) -> None:
    """Raise ValueError unless :func:`write_picture` can write a file of this name."""
    if not path.lower().endswith(IMAGE_SUFFIXES) or osp.isdir(path):
        raise ValueError(f'the picture {path!r} must be a file whose name ends in {", ".join(IMAGE_SUFFIXES)}')


def write_picture(path: str, picture: np.ndarray, flush: bool = False, quality: int = 95) -> None:
    """Write (H, W) or RGB (H, W, 3) in one step, in the format of the suffix; makes the folder.

    uint8, or uint16 for a PNG.

    Args:
        flush: see :func:`mmseg_unsup.utils.atomic.replacing`.
        quality: of a JPEG.
    """
    os.makedirs(osp.dirname(path) or '.', exist_ok=True)
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.endswith('.jpg') else []
    content = cv2.imencode(osp.splitext(path)[1], picture if picture.ndim == 2 else picture[..., ::-1], settings)[1]
    with replacing(path, flush=flush) as part, open(part, 'wb') as file:
        file.write(content.tobytes())


def write_figure(path: str, figure, dpi: int = 120) -> None:
    """Write a ``matplotlib.figure.Figure`` in one step, in the format of the suffix."""
    with replacing(path) as part:
        figure.savefig(part, dpi=dpi, format=osp.splitext(path)[1][1:] or 'png')


def write_indexed(path: str, ids: np.ndarray, palette: np.ndarray) -> None:
    """Write an (H, W) map of ids as PNG whose values are the ids; makes the folder.

    The file has 8 bits, of few colours less, and shows the colours of the (K, 3) uint8 palette, black for ids beyond
    it; from 256 colours on, 16 bits of grey, as 255 stands for no class in label maps.
    """
    os.makedirs(osp.dirname(path) or '.', exist_ok=True)
    if len(palette) > 255:
        write_picture(path, ids.astype(np.uint16))
        return
    img = Image.frombytes('P', ids.shape[::-1], ids.astype(np.uint8).tobytes())
    n_unused = 256 - len(palette) if ids.max(initial=0) >= len(palette) else 0  # Pillow has the bits that colours need
    img.putpalette(palette.ravel().tolist() + [0] * 3 * n_unused)
    with replacing(path, flush=False) as part:
        img.save(part, format='PNG')


def by_header(path: str, value_of: Callable[[Image.Image], tuple]) -> Optional[tuple]:
    """What the header of a picture says, which Pillow reads before its pixels; None where it cannot."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # Pillow takes large images for an attack
    try:
        with Image.open(path) as image:
            return value_of(image)
    except Exception:  # LoadImage says what is wrong with a file
        return None
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def header_shape(path: str) -> Optional[Tuple[int, int]]:
    """(height, width) by the header; None where Pillow cannot read it."""
    return by_header(path, lambda image: image.size[::-1])


def map_shape(path: str) -> Tuple[int, int]:
    """(H, W) of what :func:`read_indexed` reads, by its header where it has one; a few bytes may claim any size."""
    return header_shape(path) or read_indexed(path).shape


def read_indexed(path: str) -> np.ndarray:
    """(H, W) ids, uint8 or uint16, of a PNG such as :func:`write_indexed` writes; LabelError where it is none."""
    ids = read_unchanged(path, f'the map {printable(path)}')
    if ids.ndim != 2 or ids.dtype not in (np.uint8, np.uint16):
        raise LabelError(f'the map {printable(path)} has shape {ids.shape} and type {ids.dtype}: expected one channel '
                         'of 8 or 16 bits that holds class ids')
    return ids
