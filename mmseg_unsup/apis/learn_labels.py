"""Corrections as the label maps that a training reads."""
import hashlib
import os
import os.path as osp
from typing import Callable, Dict, List, NamedTuple

import numpy as np

from ..datasets.image_files import mark_output, walk_files
from ..datasets.labelled_folder import MAP_SUFFIX, map_path
from ..datasets.pictures import read_indexed, write_indexed
from ..utils.console import counted, say
from ..utils.paths import printable
from ..utils.same_files import two_of_one_file
from .annotations import VOID
from .corrections import Corrections

_MAX_CLASSES = 30  # that are told


class Labels(NamedTuple):
    """The label maps that were written.

    Attributes:
        paths: name of an image -> its map.
        classes: names of the classes.
        counts: (C,) pixels of each.
        n_pixels: of all these images.
        digest: 16 hexadecimal digits of names, maps and classes.
    """
    paths: Dict[str, str]
    classes: List[str]
    counts: np.ndarray
    n_pixels: int
    digest: str

    @property
    def class_weight(self) -> List[float]:
        """What a pixel of each class weighs in the loss, so that rare ones are found: 1 / ln(1.02 + p) by its share p
        of the labelled pixels, between 1.4 and 50 (Paszke et al., 'ENet', 2016, section 5.2)."""
        return (1 / np.log(1.02 + self.counts / self.counts.sum())).round(3).tolist()

    def put_into(self, name: str, ids: np.ndarray) -> np.ndarray:
        """(H, W) classes of an image -> the same, with the labels where it has them."""
        if name not in self.paths:
            return ids
        labels = read_indexed(self.paths[name])
        return np.where(labels == VOID, ids, labels).astype(ids.dtype)


def write_labels(corrections: Corrections, root: str, folder: str, palette: np.ndarray) -> Labels:
    """Write corrections as label maps, of which there are no others in the folder afterwards.

    Args:
        root: folder of the images.
        folder: of the label maps; see :func:`mmseg_unsup.datasets.labelled_folder.map_path`.
        palette: (C, 3) uint8 RGB of the classes.

    Raises:
        ValueError: see :class:`Corrections`; two images would have one map; no pixel has a label.
    """
    paths = {name: map_path(osp.join(root, name), root, folder) for name in corrections.names}
    _check_own_maps(corrections.names, paths.get)
    digest, counts, n_pixels = hashlib.sha256('\0'.join(corrections.classes).encode()), np.zeros(VOID + 1, int), 0
    mark_output(folder)
    for name, ids in corrections:
        if (ids == VOID).all():
            say(f'{printable(name)} has no label, and is left out')
            del paths[name]
            continue
        write_indexed(paths[name], ids, palette)
        digest.update(f'{name}\0{ids.shape}\0'.encode(errors='surrogateescape') + ids.tobytes())
        counts += np.bincount(ids.ravel(), minlength=len(counts))
        n_pixels += ids.size
    if not paths:
        raise ValueError(f'no pixel of the {counted(len(corrections), "image")} that were corrected has a label: give '
                         'annotations that show classes')
    _remove_others(folder, paths)
    classes = corrections.classes
    return Labels(paths, classes, counts[:len(classes)], n_pixels, digest.hexdigest()[:16])


def tell_labels(labels: Labels, n_images: int) -> None:
    """How many images, pixels and classes there are labels of, and which classes have none."""
    n_labelled, n_shown = int(labels.counts.sum()), int((labels.counts > 0).sum())
    say(f'labels: {counted(len(labels.paths), "image")}, {n_labelled:,} of {labels.n_pixels:,} pixels, {n_shown} of '
        f'{len(labels.classes)} classes')
    width = max(map(len, labels.classes))
    for name, count in [*zip(labels.classes, labels.counts)][:_MAX_CLASSES]:
        share = f'{count / n_labelled:6.1%}' if count else 'no pixel: it will not be found'
        say(f'  {name:{width}}  {share}')
    if len(labels.paths) == n_images > 1:
        say('all images have labels: if some were not corrected, name those that were (--only)')


def _check_own_maps(names: List[str], path_of: Callable[[str], str]) -> None:
    alike = two_of_one_file(names, path_of)
    if alike:
        one, other = (names[i] for i in alike)
        raise ValueError(f'{printable(one)} and {printable(other)} would have one label map, '
                         f'{osp.basename(printable(path_of(one)))}: rename one')


def _remove_others(folder: str, paths: Dict[str, str]) -> None:
    kept = {*paths.values()}
    for path in [*walk_files(folder)]:
        if path.endswith(MAP_SUFFIX) and path not in kept:
            os.remove(path)
