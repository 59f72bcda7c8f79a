"""Reading and writing the pictures of the tools."""
import os
import os.path as osp

import cv2
import numpy as np
from PIL import Image

from ..datasets.image_files import IMAGE_SUFFIXES
from ..datasets.transforms.loading import LoadImage
from .atomic import replacing


def read_rgb(path: str) -> np.ndarray:
    """(H, W, 3) uint8 RGB.

    Raises:
        UnreadableImageError: it cannot be used.
    """
    return np.ascontiguousarray(LoadImage(min_size=1).transform(dict(img_path=path))['img'][..., ::-1])


def map_name(image: str) -> str:
    """Name of the map of an image. Its suffix stays part of the name: x.jpg and x.png in one folder have a map each."""
    return image if image.endswith('.png') else f'{image}.png'


def check_picture(path: str) -> None:
    """Raise ValueError unless :func:`write_picture` can write a file of this name."""
    if not path.lower().endswith(IMAGE_SUFFIXES) or osp.isdir(path):
        raise ValueError(f'the picture {path!r} must be a file whose name ends in {", ".join(IMAGE_SUFFIXES)}')


def write_picture(path: str, picture: np.ndarray, flush: bool = False, quality: int = 95) -> None:
    """Write (H, W) or RGB (H, W, 3) uint8 in one step, in the format of the suffix; makes the folder.

    Args:
        flush: see :func:`mmseg_unsup.utils.atomic.replacing`.
        quality: of a JPEG.
    """
    if osp.dirname(path):
        os.makedirs(osp.dirname(path), exist_ok=True)
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.endswith('.jpg') else []
    content = cv2.imencode(osp.splitext(path)[1], picture if picture.ndim == 2 else picture[..., ::-1], settings)[1]
    with replacing(path, flush=flush) as part, open(part, 'wb') as file:
        file.write(content.tobytes())


def write_figure(path: str, figure, dpi: int = 120) -> None:
    """Write a ``matplotlib.figure.Figure`` in one step, in the format of the suffix."""
    with replacing(path) as part:
        figure.savefig(part, dpi=dpi, format=osp.splitext(path)[1][1:] or 'png')


def write_indexed(path: str, ids: np.ndarray, palette: np.ndarray) -> None:
    """Write an (H, W) map of ids as PNG whose values are the ids, coloured by a (K, 3) uint8 palette; makes the folder.

    Raises:
        ValueError: more than 256 colours.
    """
    if len(palette) > 256:
        raise ValueError(f'{len(palette)} clusters do not fit an 8-bit PNG: use at most 256')
    if osp.dirname(path):
        os.makedirs(osp.dirname(path), exist_ok=True)
    img = Image.frombytes('P', ids.shape[::-1], ids.astype(np.uint8).tobytes())
    img.putpalette(palette.ravel().tolist())
    with replacing(path, flush=False) as part:
        img.save(part, format='PNG')
