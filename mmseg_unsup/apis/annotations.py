"""Maps as annotations of other programs, and annotations as maps."""
import json
import os.path as osp
import posixpath
from collections import defaultdict
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np

from ..datasets.pictures import read_indexed
from ..formats.job import Job, slashes
from ..formats.reading import read_shapes
from ..formats.shapes import Annotated, draw_map
from ..formats.table import check_formats
from ..formats.writing import write_formats
from ..presets import n_cores
from ..structures.cluster_names import check_name
from ..utils.locks import alone_with
from ..utils.near_names import did_you_mean, similar
from ..utils.paths import is_outside, printable
from ..utils.preemption import stop_alone_if_asked
from .folder_journal import stopping
from .image_input import upright_shape
from .image_names import ImageNames
from .journal_files import PROGRESS, read_made
from .map_files import RECORD, MapFiles

_LOCK = 'formats.lock'  # among what is in progress
VOID, WIDE_VOID = 255, 65535  # of maps with up to 255 classes, and with more


class MadeMaps(NamedTuple):
    """The finished maps of a folder that ``mmseg-unsup predict`` or ``segment`` wrote.

    Attributes:
        out: that folder.
        root: folder of the images.
        names: of the classes.
        palette: (C, 3) uint8 RGB.
        images: their names.
    """
    out: str
    root: str
    names: Sequence[str]
    palette: np.ndarray
    images: Sequence[str]

    @classmethod
    def of(cls, out: str) -> 'MadeMaps':
        """Those of a folder.

        Raises:
            FileNotFoundError: it has no ``predictions.json``, which is there when all maps are.
            ValueError: its record is none.
        """
        path = osp.join(out, RECORD)
        try:
            with open(path, encoding='utf-8') as file:
                images = {*json.load(file)['images']}
            settings, made = read_made(out)
            root, classes = settings['images'], settings['classes']
            names, palette = [of_class['name'] for of_class in classes], [of_class['color'] for of_class in classes]
            palette = np.array(palette, np.uint8).reshape(len(names), 3)
            if any(is_outside(name, osp.curdir) for name in made):
                raise ValueError('the name of an image leads elsewhere')
            for name in names:
                check_name(name)
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(f'there are no finished maps in {printable(out)}, which would have {RECORD} and '
                                    'progress: give the folder that `mmseg-unsup predict` or `segment` wrote, or let '
                                    'them finish') from None
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            raise ValueError(f'{printable(path)} or what is in progress beside it is damaged: give the command that '
                             'wrote it again') from None
        return cls(out, root, names, palette, [name for name in made if printable(name) in images])

    def write(self, formats: Sequence[str], tolerance: float = 1., workers: Optional[int] = None) -> List[str]:
        """Write them as annotations beside the maps, one process at a time; see
        :func:`mmseg_unsup.formats.writing.write_formats`.

        Raises:
            FileNotFoundError: a map is gone.
            SystemExit: with status 75, SIGTERM or SIGUSR1 came.
        """
        check_formats(formats)
        self._check_files(formats)
        job = Job(self.out, self.names, self.palette, self.root, lambda name: MapFiles.paths(self.out, name)[1])
        with stopping(), alone_with(osp.join(self.out, PROGRESS, _LOCK), is_waiting=stop_alone_if_asked):
            return write_formats(formats, job, self.images, self._read, tolerance, workers or n_cores())

    def _check_files(self, formats: Sequence[str]) -> None:
        """What is missing is said before anything is written."""
        for name in self.images:
            for path in MapFiles.paths(self.out, name)[:1 + ('video' in formats)]:
                if not osp.exists(path):
                    raise FileNotFoundError(f'{printable(path)} is gone: give the command that wrote it again, which '
                                            'makes what is missing')

    def _read(self, name: str) -> np.ndarray:
        stop_alone_if_asked()
        return read_indexed(MapFiles.paths(self.out, name)[0])


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
