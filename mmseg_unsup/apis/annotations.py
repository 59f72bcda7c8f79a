"""Annotations of other programs as maps."""
import os.path as osp
import posixpath
from collections import defaultdict
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np

from ..formats.job import slashes
from ..formats.reading import read_shapes
from ..formats.shapes import Annotated, draw_map
from ..utils.near_names import did_you_mean, similar
from ..utils.paths import printable
from .image_input import upright_shape
from .image_names import ImageNames

VOID, WIDE_VOID = 255, 65535  # of maps with up to 255 classes, and with more


class Placed(NamedTuple):
    """What a file says of an image that is there; every shape was looked at once.

    Attributes:
        annotated: by the file.
        size: (H, W) of the image.
        labels: of the shapes.
    """
    annotated: Annotated
    size: Tuple[int, int]
    labels: Set[str]


def place(found: Iterable[Annotated], images: ImageNames) -> Dict[str, Placed]:
    """Name of an image -> what a file says of it.

    Raises:
        ValueError: an image is not among these, or several are; it has another size, or cannot be read; two annotations
            are of one image; a shape cannot be drawn.
    """
    finder, placed = _Finder(images), {}
    for annotated in found:
        i = finder.find(annotated.name, annotated.path)
        if images[i] in placed:
            raise ValueError(f'{printable(annotated.path)} has two annotations of {printable(images[i])}: keep one of '
                             'them')
        size = upright_shape(images.paths[i])
        if size is None:
            raise ValueError(f'{printable(annotated.path)} speaks of {printable(images.paths[i])}, which cannot be '
                             'read: mend or remove it')
        placed[images[i]] = Placed(annotated, size, {shape.label for shape in annotated.shapes(size)})
    return placed


class Annotations:
    """Annotations of images, read as maps of the classes of a model.

    All is checked at once, drawn when it is asked for.

    Args:
        path: file of COCO, CVAT or Label Studio, or folder of YOLO, LabelMe, Cityscapes or GeoTIFFs.
        images: what the file may speak of. An image is found by its name below their folder, with or without suffix, or
            else by its file name alone if only one has it.
        classes: their names; the position is the id.
        placed: what :func:`place` gave of it, or a part; None to read it.

    Attributes:
        names (list): of the images.
        void: id of pixels that are in no shape: 255, with more than 255 classes 65535.

    Raises:
        FileNotFoundError, ImportError: see :func:`mmseg_unsup.formats.reading.read_shapes`.
        ValueError: as well; see :func:`place`; a class is unknown.
    """

    def __init__(self, path: str, images: ImageNames, classes: Sequence[str],
                 placed: Optional[Dict[str, Placed]] = None) -> None:
        self.path, self._classes = path, [*classes]
        self.void = VOID if len(self._classes) <= VOID else WIDE_VOID
        self._placed = place(read_shapes(path), images) if placed is None else placed
        for name, of_image in self._placed.items():
            for label in sorted(of_image.labels.difference(self._classes)):
                told = did_you_mean(similar(label, self._classes), f'it knows {", ".join(self._classes[:20])}.')
                raise ValueError(f'the image {printable(name)} has the class {label!r}, which the model does not know: '
                                 f'{told} Rename it in {printable(path)}, leave it out, or give all classes (of learn: '
                                 '--classes)')

    @property
    def names(self) -> List[str]:
        return [*self._placed]

    def draw(self, name: str) -> np.ndarray:
        """(H, W) class ids of an image, uint8, or uint16 with more than 255 classes."""
        annotated, size, _ = self._placed[name]
        return draw_map(annotated, size, {name: c for c, name in enumerate(self._classes)}, self.void)

    def __len__(self) -> int:
        return len(self._placed)

    def __iter__(self) -> Iterator[Tuple[str, np.ndarray]]:
        """Names of images, and what :meth:`draw` gives."""
        for name in self.names:
            yield name, self.draw(name)


class _Finder:
    """The numbers of images by what annotations call them."""

    def __init__(self, images: ImageNames) -> None:
        self._of: Dict[str, List[int]] = defaultdict(list)
        for i, name in enumerate(images):
            whole = printable(slashes(name))
            for key in {whole, *_other_names(whole)}:
                self._of[key].append(i)
        self._root = images.root

    def find(self, name: str, path: str) -> int:
        """The number of the one image of a name."""
        name = printable(name)
        of_windows = name.replace('\\', '/')
        for key in (name, f'{name}.*', *_other_names(name), of_windows, *_other_names(of_windows)):
            found = self._of.get(key, ())
            if len(found) == 1:
                return found[0]
            if found:
                raise ValueError(f'{printable(path)} speaks of {name}, and {len(found)} images below '
                                 f'{printable(self._root)} are called so: give it the name below that folder')
        raise ValueError(f'{printable(path)} speaks of {name}, but there is no such image below '
                         f'{printable(self._root)}: give the folder that it was annotated in')


def _other_names(name: str) -> Iterator[str]:
    """What an image may be called besides, the nearest first: with any suffix (``.*``), without what ends the names of
    images of Cityscapes (``.**``), in any folder (``//``); no image has these in its name."""
    folder, file = posixpath.split(name)
    stem = osp.splitext(file)[0]
    files = f'{stem}.*', f'{stem.removesuffix("_leftImg8bit")}.**'
    yield from (posixpath.join(folder, other) for other in files)
    yield from (f'//{other}' for other in (file, *files))
