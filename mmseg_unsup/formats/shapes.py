"""What annotation files say of images, and how it is drawn as label maps.

Shapes are made for an image of a known size alone, which is what the file claims: memory is bounded by the images, not
by numbers in a file.
"""
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple, Union

import numpy as np

from ..utils.console import size_text
from ..utils.paths import printable
from .parsing import named, understanding

Size = Tuple[int, int]  # (H, W)


class Polygon(NamedTuple):
    """An area with a label; the ring is (N, 2) x and y in pixels."""
    label: str
    ring: np.ndarray


class Mask(NamedTuple):
    """Pixels with a label, (h, w) booleans, and the left and top of the first one in the image."""
    label: str
    pixels: np.ndarray
    corner: Tuple[int, int] = (0, 0)


Shape = Union[Polygon, Mask]


class Annotated(NamedTuple):
    """What a file says of an image.

    Attributes:
        path: of the file.
        name: of the image, below the folder of all; one that ends in ``.*`` stands for any suffix.
        size: (H, W) by the file; None if it does not say it.
        make: the size of the image -> its shapes, a later one above the former ones.
        is_draft: they are those of a model, which nobody has taken over yet, where the file tells the two apart.
    """
    path: str
    name: str
    size: Optional[Size]
    make: Callable[[Size], Iterable[Shape]]
    is_draft: bool = False

    def shapes(self, size: Size) -> Iterator[Shape]:
        """The shapes, one at a time, in an image that has this size.

        Raises:
            ValueError: by the file it has another; a shape cannot be drawn.
        """
        if self.size not in (None, size):
            raise ValueError(f'{printable(self.path)} says that {printable(self.name)} has {size_text(self.size)} '
                             f'pixels, but it has {size_text(size)}: give the images that were annotated')
        where = named(self.path, self.name)
        with understanding(self.path):
            for shape in self.make(size):
                if not (isinstance(shape.label, str) and shape.label.strip()):
                    raise ValueError(f'{where} has a shape whose class is called {shape.label!r:.60}: give it a name')
                if isinstance(shape, Polygon):
                    _check_outline(shape, size, where)
                yield shape


def points_of(label: str, ring, where: str) -> np.ndarray:
    """(N, 2) finite points (x, y), of those or of numbers x, y, x, y and so on.

    Raises:
        ValueError: they are none; names where they stand.
    """
    try:
        points = np.asarray(ring, float).reshape(-1, 2)
        if np.isfinite(points).all():
            return points
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f'{where} has a shape of {label!r} whose points are no pairs of numbers: {ring!r:.60}; mend or '
                     'remove it')


def polygon_of(label: str, ring, where: str) -> Polygon:
    """A polygon of points, see :func:`points_of`.

    Raises:
        ValueError: it has fewer than three points, or what are no numbers; names where it stands.
    """
    points = points_of(label, ring, where)
    if len(points) < 3:
        raise ValueError(f'{where} has a polygon of {label!r} with {len(points)} points, and three at least enclose an '
                         'area: mend or remove it')
    return Polygon(label, points)


def scaled(polygon: Polygon, factors: Tuple[float, float]) -> Polygon:
    """A polygon whose points are multiplied by those of x and y; what overflows is refused by its outline."""
    with np.errstate(over='ignore'):
        return polygon._replace(ring=polygon.ring * factors)


def _check_outline(polygon: Polygon, size: Size, where: str) -> None:
    """Raise ValueError if an outline is longer than all lines between the pixels of an image, with as many again for
    slits to holes: pycocotools walks along it step by step, and keeps the steps."""
    with np.errstate(all='ignore'):
        length = np.abs(polygon.ring - np.roll(polygon.ring, 1, 0)).max(1).sum()
    if not length <= 4 * (size[0] + 1) * (size[1] + 1):  # nan is not
        raise ValueError(f'{where} has a polygon of {polygon.label!r} whose outline is {length:.3g} pixels long, for '
                         f'which an image of {size_text(size)} has no place: mend or remove it')


def masks_of(ids: np.ndarray, names: Dict[int, str], void: int, path: str, lister: str) -> Iterator[Mask]:
    """The masks of the values of a map other than ``void``, one at a time.

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
    return (Mask(names[c], ids == c) for c in found)


def check_inside(label: str, pixels: Size, left: int, top: int, size: Size, where: str) -> None:
    """Raise ValueError if a mask of (h, w) pixels whose upper left one is there does not lie in an image of (H, W)."""
    if min(left, top, *pixels) < 0 or top + pixels[0] > size[0] or left + pixels[1] > size[1]:
        raise ValueError(f'{where} has a mask of {label!r} of {size_text(pixels)} pixels at '
                         f'{size_text((top, left))}, which does not lie in an image of {size_text(size)}: mend or '
                         'remove it')


def pixels_of_runs(runs: List[int], size: Size, order: str) -> np.ndarray:
    """(h, w) booleans of run lengths, of which the first one is outside.

    Args:
        order: ``'C'`` where they follow the rows, ``'F'`` the columns.

    Raises:
        ValueError: they are no whole numbers from 0 on, or do not make up a mask of this size.
    """
    if {*map(type, runs)} != {int} or min(runs) < 0 or sum(runs) != size[0] * size[1]:
        raise ValueError(f'the run lengths do not make up a mask of {size_text(size)}')
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(size, order=order)


def draw_map(annotated: Annotated, size: Size, class_of: Dict[str, int], void: int) -> np.ndarray:
    """(H, W) class ids of an image, uint8, or uint16 where void is larger; void where there is no shape."""
    ids = np.full(size, void, np.uint8 if void < 256 else np.uint16)
    for shape in annotated.shapes(size):
        part, pixels = _pixels_of(shape, size)
        ids[part][pixels] = class_of[shape.label]
    return ids


def _pixels_of(shape: Shape, size: Size) -> Tuple[tuple, np.ndarray]:
    """The part of the image that a shape lies in, and which of its pixels are inside."""
    from pycocotools import mask
    if isinstance(shape, Mask):
        (left, top), (height, width) = shape.corner, shape.pixels.shape
        return (slice(top, top + height), slice(left, left + width)), shape.pixels
    low = np.clip(np.floor(shape.ring.min(0)), 0, size[::-1]).astype(int)
    width, height = np.clip(np.ceil(shape.ring.max(0)), low, size[::-1]).astype(int) - low
    part = slice(low[1], low[1] + height), slice(low[0], low[0] + width)
    if not (width and height):
        return part, np.zeros((height, width), bool)
    runs = mask.frPyObjects([(shape.ring - low).ravel().tolist()], int(height), int(width))
    return part, mask.decode(runs)[..., 0].astype(bool)
