"""Corrected maps of some images of a folder, as they come back from labelling programs or as PNGs."""
import os.path as osp
from fnmatch import fnmatchcase
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from ..datasets.image_files import walk_files
from ..datasets.labelled_dataset import INVALID_LABEL
from ..datasets.labelled_folder import MAP_SUFFIX
from ..datasets.pictures import map_name, map_shape, read_indexed
from ..formats import cityscapes
from ..formats.reading import read_shapes
from ..formats.shapes import Annotated
from ..formats.table import FORMATS
from ..structures.cluster_names import check_name
from ..utils.console import counted, say, size_text
from ..utils.paths import path_remedy, printable
from .annotations import VOID, Annotations, Placed, place
from .examples import check_apart
from .image_input import upright_shape
from .image_names import ImageNames
from .map_files import MAPS, RECORD


class Corrections:
    """Maps of the classes of some images, of any number of sources; of an image that several have, the last one counts.

    Args:
        sources: files and folders of annotations, see :class:`Annotations`, and folders of label maps, see
            :class:`LabelMaps`. Of Label Studio tasks count those with an annotation; predictions do where no task has
            one.
        images: what they may speak of.
        given: names of the classes, the position is the id; None for those of ``named``, else those that the
            annotations have, else those of ``unnamed``.
        named: names that people gave to the classes of the model; None where nobody did.
        unnamed: what its classes are called otherwise.
        only: patterns of the names of images that count, such as ``'monday/*'``; None for all.

    Attributes:
        classes (list): their names.
        names (list): of the images, sorted.

    Raises:
        FileNotFoundError, ImportError: see :class:`Annotations`.
        ValueError: as well; a map cannot be used; fewer than two classes, or more than 8 bits hold; no image is left.
    """

    def __init__(self,
                 sources: Sequence[str],
                 images: ImageNames,
                 given: Optional[Sequence[str]] = None,
                 named: Optional[Sequence[str]] = None,
                 unnamed: Sequence[str] = (),
                 only: Optional[Sequence[str]] = None) -> None:
        placed = {path: None if is_map_folder(path) else place(_finished(read_shapes(path)), images)
                  for path in sources}
        self.classes = [*(given or named or _labels_of(placed.values(), unnamed) or unnamed)]
        _check_classes(self.classes)
        self._source_of: Dict[str, object] = {}
        for path, found in placed.items():
            source = LabelMaps(path, images, len(self.classes)) if found is None else Annotations(
                path, images, self.classes, found)
            self._source_of.update(dict.fromkeys(source.names, source))
        if only is not None:
            self._keep(only)
        self.names: List[str] = sorted(self._source_of)

    def _keep(self, patterns: Sequence[str]) -> None:
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in self._source_of):
                raise ValueError(f'--only {printable(pattern)} is the name of no image that the labels speak of, such '
                                 f'as {printable(min(self._source_of))}: give names below the folder of images, or '
                                 "patterns of these, 'monday/*'")
        self._source_of = {name: source for name, source in self._source_of.items()
                           if any(fnmatchcase(name, pattern) for pattern in patterns)}

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Tuple[str, np.ndarray]]:
        """Names of images, and (H, W) uint8 class ids, 255 where nothing is said."""
        for name in self.names:
            yield name, self._source_of[name].draw(name)


class LabelMaps:
    """A folder of PNGs whose values are class ids, and 255 where nothing is said.

    The map of ``a/b.jpg`` is ``a/b.jpg.png``, as ``predict`` and ``segment`` call it, or ``a/b.png``.

    Args:
        folder: of the maps.
        images: names of the images.
        n_classes: ids are below it.

    Attributes:
        names (list): of the images that have a map.

    Raises:
        ValueError: the folder lies among the images, or no map in it belongs to one.
    """

    def __init__(self, folder: str, images: ImageNames, n_classes: int) -> None:
        check_apart(images.root, folder)
        self.folder, self._n_classes = folder, n_classes
        paths = [path for path in walk_files(folder) if path.endswith(MAP_SUFFIX)]
        there = {osp.relpath(path, folder) for path in paths}
        found = {name: next((own for own in _map_names(name) if own in there), None) for name in images}
        self._map_of = {name: osp.join(folder, own) for name, own in found.items() if own is not None}
        self._paths = dict(zip(images, images.paths)) if self._map_of else {}
        self._check_found(images, len(paths))

    @property
    def names(self) -> List[str]:
        return [*self._map_of]

    def draw(self, name: str) -> np.ndarray:
        """(H, W) uint8 class ids of an image.

        Raises:
            LabelError, ValueError: the map cannot be read, has another size than the image, or a value that is no
                class.
        """
        path, image = self._map_of[name], self._paths[name]
        shape, size = map_shape(path), upright_shape(image)
        if shape != size:
            raise ValueError(f'the label map {printable(path)} has {size_text(shape)} pixels, but its image '
                             f'{printable(image)} has ' + ('none that can be read' if size is None else
                                                           size_text(size)) + ': give a map of the same size')
        ids = read_indexed(path)
        unknown = np.setdiff1d(ids, [*range(self._n_classes), VOID])
        if len(unknown):
            raise ValueError(f'the label map {printable(path)} has the value {unknown[0]}, but the {self._n_classes} '
                             f'classes are 0..{self._n_classes - 1}, and {VOID} is no label: name all classes in the '
                             'order of their values (--classes), or mend the map')
        return ids.astype(np.uint8)

    def _check_found(self, images: ImageNames, n_maps: int) -> None:
        if not self._map_of:
            raise ValueError(f'no image of {printable(images.root)} has a label map in {printable(self.folder)}, which '
                             f'has {counted(n_maps, "PNG")}: that of {printable(images[0])} would be called '
                             f'{printable(map_name(images[0]))}, or so without the suffix of the image')
        if len(self._map_of) < n_maps:
            say(f'in {printable(self.folder)}, {counted(n_maps - len(self._map_of), "PNG")} of no image')


def is_map_folder(path: str) -> bool:
    """Whether this is a folder of PNGs and of no annotations.

    Raises:
        FileNotFoundError: there is nothing of this name.
        ValueError: it is a folder of results, which has maps and may have annotations of several formats.
    """
    if not osp.exists(path):
        raise FileNotFoundError(f'there are no labels {printable(path)}: {path_remedy(path)}')
    if osp.isfile(osp.join(path, RECORD)):
        # all that are read back
        parts = MAPS, *(of_format.files[0] for name, of_format in FORMATS.items() if name != 'video')
        raise ValueError(f'{printable(path)} is a folder of results: give what was corrected in it, of '
                         + ', '.join(part for part in parts if osp.exists(osp.join(path, part))))
    names = [*walk_files(path)] if osp.isdir(path) else []
    is_annotated = any(name.endswith(('data.yaml', cityscapes.IDS, '.json')) for name in names)
    return not is_annotated and any(name.endswith(MAP_SUFFIX) for name in names)


def _map_names(image: str) -> Tuple[str, str]:
    return map_name(image), osp.splitext(image)[0] + MAP_SUFFIX


def _labels_of(placed: Iterable[Optional[Dict[str, Placed]]], first: Sequence[str]) -> List[str]:
    """The labels that annotations have, those of ``first`` in its order, the others behind them in that of letters."""
    labels = {label for of_source in placed for of_image in (of_source or {}).values() for label in of_image.labels}
    return [label for label in first if label in labels] + sorted(labels.difference(first))


def _finished(found: List[Annotated]) -> List[Annotated]:
    return [annotated for annotated in found if not annotated.is_draft] or found


def _check_classes(classes: Sequence[str]) -> None:
    if not 2 <= len(classes) <= INVALID_LABEL:
        raise ValueError(f'the labels have {len(classes)} classes ({", ".join(classes[:3])}), and between 2 and '
                         f'{INVALID_LABEL} can be learnt: name all of them (--classes NAME NAME ...)')
    if len({*classes}) < len(classes):
        raise ValueError(f'--classes {" ".join(classes)} has a name twice: give each class one')
    for name in classes:
        try:
            check_name(name)
        except ValueError as error:
            raise ValueError(f'{error}: rename it in the labels, or give other names (--classes)') from None
