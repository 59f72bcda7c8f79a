"""Maps as annotations of other programs, and annotations as maps."""
import json
import os.path as osp
from collections import defaultdict
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ..datasets.pictures import read_indexed
from ..formats.job import Job, slashes
from ..formats.reading import read_shapes
from ..formats.shapes import Annotated, check_labels, draw_map
from ..formats.table import check_formats
from ..formats.writing import write_formats
from ..presets import n_cores
from ..utils.near_names import did_you_mean, similar
from ..utils.paths import printable
from .folder_journal import ImageNames, read_made
from .image_input import upright_shape
from .map_files import RECORD, MapFiles

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
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(f'there are no finished maps in {printable(out)}, which would have {RECORD} and '
                                    'progress: give the folder that `mmseg-unsup predict` or `segment` wrote, or let '
                                    'them finish') from None
        except (ValueError, KeyError, TypeError):
            raise ValueError(f'{printable(path)} or what is in progress beside it is damaged: give the command that '
                             'wrote it again') from None
        return cls(out, root, names, np.array(palette, np.uint8), [name for name in made if printable(name) in images])

    def write(self, formats: Sequence[str], tolerance: float = 1., workers: Optional[int] = None) -> List[str]:
        """Write them as annotations beside the maps; see :func:`mmseg_unsup.formats.writing.write_formats`."""
        check_formats(formats)
        job = Job(self.out, self.names, self.palette, self.root, lambda name: MapFiles.paths(self.out, name)[1])
        return write_formats(formats, job, self.images, lambda name: read_indexed(MapFiles.paths(self.out, name)[0]),
                             tolerance, workers or n_cores())


class Annotations:
    """Annotations of images, read as maps of the classes of a model.

    All is checked at once, drawn when it is asked for.

    Args:
        path: file of COCO, CVAT or Label Studio, or folder of YOLO, LabelMe, Cityscapes or GeoTIFFs.
        images: what the file may speak of. An image is found by its name below their folder, with or without suffix, or
            else by its file name alone if only one has it.
        classes: their names; the position is the id.
        found: what :func:`mmseg_unsup.formats.reading.read_shapes` gave of it, or a part; None to read it.

    Attributes:
        names (list): of the images.
        void: id of pixels that are in no shape: 255, with more than 255 classes 65535.

    Raises:
        FileNotFoundError, ImportError: see :func:`mmseg_unsup.formats.reading.read_shapes`.
        ValueError: as well; an image is not among these, or several are; it has another size, or cannot be read; two
            annotations are of one image; a class is unknown.
    """

    def __init__(self, path: str, images: ImageNames, classes: Sequence[str],
                 found: Optional[Iterable[Annotated]] = None) -> None:
        self.path, self._classes = path, [*classes]
        self.void = VOID if len(self._classes) <= VOID else WIDE_VOID
        found = read_shapes(path) if found is None else [*found]
        known = ', '.join(self._classes[:20])
        check_labels(found, self._classes, lambda label: did_you_mean(
            similar(str(label), self._classes), f'it knows {known}.')
            + f' Rename it in {printable(path)}, leave it out, or give all classes (of learn: --classes)')
        self._found: Dict[str, Tuple[Annotated, Tuple[int, int]]] = {}
        numbers = _Finder(images)
        for annotated in found:
            i = numbers.find(annotated.name, path)
            if images[i] in self._found:
                raise ValueError(f'{printable(path)} has two annotations of {printable(images[i])}: keep one of them')
            self._found[images[i]] = annotated, _checked_size(annotated, images.paths[i], path)

    @property
    def names(self) -> List[str]:
        return [*self._found]

    def draw(self, name: str) -> np.ndarray:
        """(H, W) class ids of an image, uint8, or uint16 with more than 255 classes."""
        annotated, size = self._found[name]
        return draw_map(annotated, size, {name: c for c, name in enumerate(self._classes)}, self.void)

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Tuple[str, np.ndarray]]:
        """Names of images, and what :meth:`draw` gives."""
        for name in self.names:
            yield name, self.draw(name)


class _Finder:
    """The numbers of images by what annotations call them."""

    def __init__(self, images: ImageNames) -> None:
        self._of: Dict[str, List[int]] = defaultdict(list)  # the whole name, or its end
        for i, name in enumerate(images):
            whole = printable(slashes(name))
            for key in {whole, osp.splitext(whole)[0], f'*{osp.basename(whole)}', f'*{_stem(whole)}'}:
                self._of[key].append(i)
        self._root = images.root

    def find(self, name: str, path: str) -> int:
        """The number of the one image of a name."""
        name = printable(name)
        for key in (name, f'*{osp.basename(name)}', f'*{_stem(name)}'):
            found = self._of.get(key, ())
            if len(found) == 1:
                return found[0]
            if found:
                raise ValueError(f'{printable(path)} speaks of {name}, and {len(found)} images below '
                                 f'{printable(self._root)} are called so: give it the name below that folder')
        raise ValueError(f'{printable(path)} speaks of {name}, but there is no such image below '
                         f'{printable(self._root)}: give the folder that it was annotated in')


def _stem(name: str) -> str:
    """A file name without suffix, and without what ends those of the images of Cityscapes."""
    return osp.splitext(osp.basename(name))[0].removesuffix('_leftImg8bit')


def _checked_size(annotated: Annotated, image: str, path: str) -> Tuple[int, int]:
    size = upright_shape(image)
    if size is None:
        raise ValueError(f'{printable(path)} speaks of {printable(image)}, which cannot be read: mend or remove it')
    if annotated.size is not None and tuple(annotated.size) != size:
        height, width = annotated.size
        raise ValueError(f'{printable(path)} says that {printable(image)} has {width}x{height} pixels, but it has '
                         f'{size[1]}x{size[0]}: give the images that were annotated')
    return size
