"""What annotation files say of images, and how it is drawn as label maps."""
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple, Union

import numpy as np

from ..utils.paths import printable

_FAR = 1e6  # pixels, more than any image has; pycocotools walks along edges step by step


class Polygon(NamedTuple):
    """An area with a label; the ring is (N, 2) x and y."""
    label: str
    ring: np.ndarray


class Mask(NamedTuple):
    """Pixels with a label, as pycocotools' run lengths, and the left and top of what these describe."""
    label: str
    runs: dict
    corner: Tuple[int, int] = (0, 0)


class Annotated(NamedTuple):
    """What a file says of an image.

    Attributes:
        name: of the image, below the folder of all.
        size: (H, W) by the file; None if it does not say it, then coordinates are shares of width and height.
        shapes: a later one lies above the former ones.
        is_draft: they are those of a model, which nobody has taken over yet, where the file tells the two apart.
    """
    name: str
    size: Optional[Tuple[int, int]]
    shapes: List[Union[Polygon, Mask]]
    is_draft: bool = False


def polygon_of(label: str, ring, where: str) -> Polygon:
    """A polygon of points (x, y), or of numbers x, y, x, y and so on.

    Raises:
        ValueError: it has fewer than three points, or what are no numbers; names where it stands.
    """
    try:
        points = np.asarray(ring, float)
        points = points.reshape(-1, 2)
    except (TypeError, ValueError):
        raise ValueError(f'{where} has a polygon of {label!r} whose points are no pairs of numbers: {ring!r:.60}'
                         ) from None
    if len(points) < 3 or not (np.abs(points) < _FAR).all():
        raise ValueError(f'{where} has a polygon of {label!r} with {len(points)} points, and three at least that lie '
                         'in or near the image enclose an area: mend or remove it')
    return Polygon(label, points)


def mask_of(label: str, pixels: np.ndarray) -> Mask:
    """A mask of (H, W) booleans."""
    return Mask(label, encoded(pixels))


def masks_of(ids: np.ndarray, names: Dict[int, str], void: int, path: str, lister: str) -> List[Mask]:
    """The masks of the values of a map other than ``void``.

    Args:
        names: value -> label.
        path: of the map, for the error.
        lister: what should list the values, with its verb.

    Raises:
        ValueError: a value has no label.
    """
    found = [c for c in np.unique(ids).tolist() if c != void]
    unknown = [c for c in found if c not in names]
    if unknown:
        raise ValueError(f'{printable(path)} holds the values {unknown}, which {lister} not list: add them there, or '
                         f'use {void} for void')
    return [mask_of(names[c], ids == c) for c in found]


def encoded(pixels: np.ndarray) -> dict:
    """(H, W) booleans as run lengths of pycocotools."""
    from pycocotools import mask
    return mask.encode(np.asfortranarray(pixels, np.uint8))


def mask_at(label: str, pixels: np.ndarray, left: int, top: int, size: Tuple[int, int], where: str) -> Mask:
    """A mask of (h, w) booleans whose upper left pixel is there, in an image of (H, W).

    Raises:
        ValueError: it does not lie in the image.
    """
    if min(left, top) < 0 or top + pixels.shape[0] > size[0] or left + pixels.shape[1] > size[1]:
        raise ValueError(f'{where} has a mask of {label!r} of {pixels.shape[1]}x{pixels.shape[0]} pixels at ({left}, '
                         f'{top}), which does not lie in an image of {size[1]}x{size[0]}')
    return mask_of(label, pixels)._replace(corner=(left, top))


def draw_map(annotated: Annotated, size: Tuple[int, int], class_of: Dict[str, int], void: int) -> np.ndarray:
    """(H, W) class ids of an image, uint8, or uint16 where void is larger; void where there is no shape."""
    ids = np.full(size, void, np.uint8 if void < 256 else np.uint16)
    scale = (1, 1) if annotated.size else size[::-1]
    for shape in annotated.shapes:
        part, pixels = _pixels_of(shape, size, scale)
        ids[part][pixels] = class_of[shape.label]
    return ids


def _pixels_of(shape: Union[Polygon, Mask], size: Tuple[int, int], scale: Tuple[int, int]) -> Tuple[tuple, np.ndarray]:
    """The part of the image that a shape lies in, and which of its pixels are inside."""
    from pycocotools import mask
    if isinstance(shape, Mask):
        (left, top), (height, width) = shape.corner, shape.runs['size']
        return (slice(top, top + height), slice(left, left + width)), mask.decode(shape.runs).astype(bool)
    ring = shape.ring * scale
    low = np.clip(np.floor(ring.min(0)).astype(int), 0, size[::-1])
    width, height = np.clip(np.ceil(ring.max(0)).astype(int), low, size[::-1]) - low
    part = slice(low[1], low[1] + height), slice(low[0], low[0] + width)
    if not (width and height):
        return part, np.zeros((height, width), bool)
    runs = mask.frPyObjects([(ring - low).ravel().tolist()], int(height), int(width))
    return part, mask.decode(runs)[..., 0].astype(bool)


def check_labels(images: List[Annotated], classes: List[str], told: Callable[[str], str]) -> None:
    """Raise ValueError, with a remedy for the label, if one is no class."""
    for image in images:
        for shape in image.shapes:
            if shape.label not in classes:
                raise ValueError(f'the image {printable(image.name)} has the class {shape.label!r}, which the model '
                                 f'does not know: {told(shape.label)}')
