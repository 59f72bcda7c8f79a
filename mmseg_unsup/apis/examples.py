"""Examples of classes in a folder of images: label maps or names of clusters, and a model of what they show."""
import hashlib
import json
import os.path as osp
from math import inf
from typing import Dict, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.runner.checkpoint import weights_to_cpu
from torch import Tensor

from ..datasets.errors import UnreadableImageError
from ..datasets.image_files import MARK, check_folder, walk_files
from ..datasets.label_folder import LabelFolder
from ..datasets.labelled_dataset import INVALID_LABEL
from ..datasets.labelled_folder import MAP_SUFFIX, map_path
from ..datasets.transforms.loading import LoadImage
from ..engine.checkpoint_files import write_checkpoint
from ..models.clusters import NeighbourSet
from ..models.segmentors.cluster_segmentor import ClusterSegmentor
from ..structures import ClusterNames
from ..structures.cluster_names import NamedClass
from ..utils.console import counted, say
from ..utils.paths import printable
from ..utils.whole_images import whole_image_pipeline
from ..visualization import cluster_palette
from ..weights.weights_seen import add_labels
from .loading import batch_of_one, load_segmentor, read_weights

EXAMPLES = 'examples'  # the set of clusters
VOID = 255
_ANY_VALUES = [str(value) for value in range(INVALID_LABEL)]  # read as they are
_MAX_LISTED = 8
_MAX_NAMED = 200  # images that clusters are looked up in
_LOAD = LoadImage()


class Examples:
    """Label maps that belong to images of a folder.

    The map of ``FOLDER/a/b.jpg`` is ``LABELLED/a/b.png``, a PNG of 8 bits as large as the image, whose values are
    classes, and 255 where there is no label.

    Args:
        root: the folder of the images.
        images: paths of all of them.
        labelled: the folder of label maps.
        classes: their names in the order of the values; None for ``class 0`` and so on.

    Attributes:
        paths (list): of the images that have a map.
        n_images (int): of these.
        classes (list).
        n_pixels (int): of all maps.

    Raises:
        FileNotFoundError: there is no such folder, or no map in it that belongs to an image.
        ValueError: a map cannot be used; it has an unknown value or another size than its image; fewer than two
            classes.
    """

    seen = 'labels of examples'  # by the weights of a model of them

    def __init__(self, root: str, images: Sequence[str], labelled: str,
                 classes: Optional[Sequence[str]] = None) -> None:
        check_folder(labelled, 'give the folder of label maps (--examples LABELLED)')
        check_apart(root, labelled)
        self.root, self.labelled = root, labelled
        self.paths: List[str] = [path for path in images if osp.isfile(self.map_of(path))]
        self._check_found(images)
        self._reader = LabelFolder({}, self.paths, root, labelled, _ANY_VALUES)
        self._digest, first, self.n_pixels = hashlib.sha256(), {}, 0
        for path in self.paths:  # what is wrong must be found before hours are spent
            labels = self.read(path)[1]
            self.n_pixels += labels.size
            self._digest.update(f'{osp.relpath(path, root)}\0'.encode(errors='surrogateescape') + labels.tobytes())
            for value in np.unique(labels[labels != VOID]).tolist():
                first.setdefault(value, self.map_of(path))
        self.classes = self._classes(first, classes)

    def map_of(self, image: str) -> str:
        """Path of the label map that an image would have."""
        return map_path(image, self.root, self.labelled)

    def read(self, image: str) -> Tuple[dict, np.ndarray]:
        """An image as :class:`LoadImage` gives it, and its (H, W) uint8 classes."""
        loaded = _LOAD(dict(img_path=image, seg_fields=[]))
        return loaded, self._reader.read(image, loaded['ori_shape'])

    @property
    def n_images(self) -> int:
        return len(self.paths)

    @torch.no_grad()
    def features(self, model: ClusterSegmentor, pipeline: Compose) -> Iterator[Tuple[Tensor, Tensor]]:
        """Per example (C, h, w) features of the whole image, and its (H, W) labels."""
        for path in self.paths:
            loaded, labels = self.read(path)
            yield features_of(model, pipeline, loaded), torch.from_numpy(labels)

    def __str__(self) -> str:
        return f'{counted(self.n_images, "image")} of {len(self.classes)} classes'

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of names and content of the label maps, and of the classes."""
        digest = self._digest.copy()
        digest.update('\0'.join(self.classes).encode())
        return digest.hexdigest()[:16]

    def _check_found(self, images: Sequence[str]) -> None:
        used = {osp.realpath(self.map_of(path)) for path in self.paths}
        maps = [path for path in walk_files(self.labelled) if path.endswith(MAP_SUFFIX)]
        if not used:
            raise FileNotFoundError(f'no image of {printable(self.root)} is labelled: the label map of '
                                    f'{printable(images[0])} would be {printable(self.map_of(images[0]))}, and '
                                    f'{printable(self.labelled)} has {counted(len(maps), "other PNG")}: name the maps '
                                    'like their images')
        others = [path for path in maps if osp.realpath(path) not in used]
        if others:
            say(f'in {printable(self.labelled)}, {counted(len(others), "label map")} of no image, such as '
                f'{printable(others[0])}')

    def _classes(self, first: Dict[int, str], names: Optional[Sequence[str]]) -> List[str]:
        """The names that are given, or those of the values that occur, which must be numbered without gaps.

        Args:
            first: value -> a label map that has it.
        """
        values = sorted(first)
        if not values:
            raise ValueError(f'no pixel of the {counted(len(self.paths), "label map")} in {printable(self.labelled)} '
                             f'is labelled, all are {VOID}: give maps that show classes')
        if names is None and values == list(range(len(values))) and len(values) > 1:
            return [f'class {value}' for value in values]
        if names is None:
            raise ValueError(f'the label maps in {printable(self.labelled)} have the values {_listed(values)} beside '
                             f'{VOID}, which are not two or more classes numbered from 0 on: name all classes in the '
                             'order of their values (--classes NAME NAME ...)')
        unknown = [value for value in values if value >= len(names)]
        if unknown:
            raise ValueError(f'the label map {printable(first[unknown[0]])} has the value {unknown[0]}, but the '
                             f'{len(names)} classes are 0..{len(names) - 1}, and {VOID} is no label: name all classes '
                             '(--classes), or mend the map')
        if len(names) < 2 or len(set(names)) < len(names):
            raise ValueError(f'--classes {" ".join(names)} are not two or more different names: give each class one')
        return list(names)


class NamedExamples:
    """Places of images whose clusters have names, as examples of classes with these names.

    Cells have the name of their cluster; those of clusters without a name say nothing. To take only the cells that the
    clusters are surest of made maps no better.

    Args:
        path: a ``clusters.json`` that a page or ``mmseg-unsup name`` wrote.
        checkpoint: the model whose clusters are named; None where there is none yet.
        images: paths, of which evenly spaced ones are looked at.

    Attributes:
        paths (list): empty, no image is labelled.
        n_images (int): that are looked at.
        n_pixels (float): of them, any number.
        classes (list): the names.

    Raises:
        FileNotFoundError: there is no such file, or no model yet.
        ValueError: it is another kind of file, or of other clusters; fewer than two of them have a name.
    """

    seen, n_pixels = 'names of clusters', inf

    def __init__(self, path: str, checkpoint: Optional[str], images: Sequence[str]) -> None:
        names = ClusterNames.load(path)
        if checkpoint is None:
            raise FileNotFoundError(f'--examples {printable(path)} names clusters, but --out has no model yet whose '
                                    'clusters these are: give the same command without --examples first')
        names.check(*load_segmentor(None, checkpoint)[1].cluster_identity())
        given = {*ClusterNames.identity(names.cluster_set, names.n_clusters, names.fingerprint).names}
        named = [of_class for of_class in names.classes if of_class.name not in given]
        if len(named) < 2:
            raise ValueError(f'{printable(path)} has names for {len(named)} of {names.n_clusters} clusters: name those '
                             'of two classes or more, on the page or by mmseg-unsup name')
        self.paths, self.classes = [], [of_class.name for of_class in named]
        self._n_named = sum(len(of_class.clusters) for of_class in named)
        self._table = torch.full((names.n_clusters, ), VOID)
        for c, of_class in enumerate(named):
            self._table[list(of_class.clusters)] = c
        self._looked_at = images[::-(-len(images) // _MAX_NAMED)]
        self.n_images = len(self._looked_at)
        self.digest = hashlib.sha256(json.dumps(names.to_dict()).encode()).hexdigest()[:16]

    @torch.no_grad()
    def features(self, model: ClusterSegmentor, pipeline: Compose) -> Iterator[Tuple[Tensor, Tensor]]:
        """Per image (C, h, w) features, and (h, w) classes or 255; images that cannot be read are left out."""
        for path in self._looked_at:
            try:
                batch = batch_of_one(model, pipeline(_LOAD(dict(img_path=path, seg_fields=[]))))
            except UnreadableImageError:  # the stages before have told of it, or ended
                continue
            outputs = model.averaged_feat(batch['inputs'])
            scores = model.decode_head(outputs, model.predicted_sets[:1])[0]
            yield outputs[model.decode_head.in_index][0].float(), self._table[scores.argmax(0).cpu()]

    def __str__(self) -> str:
        return (f'names of {counted(self._n_named, "cluster")}, {len(self.classes)} classes, in '
                f'{counted(self.n_images, "image")}')


AnyExamples = Union[Examples, NamedExamples]


def check_apart(root: str, labelled: str) -> None:
    """Raise ValueError if the label maps in a folder would be taken for images of the folder ``root``."""
    outer, inner = osp.realpath(root), osp.realpath(labelled)
    is_marked = osp.isfile(osp.join(inner, MARK))
    if inner == outer or inner.startswith(osp.join(outer, '')) and not is_marked:
        raise ValueError(f'the label maps in {printable(labelled)} lie below the folder of images {printable(root)}, '
                         'and would be taken for images: move them out of it')


def _listed(values: Sequence[int]) -> str:
    texts = [str(value) for value in values[:_MAX_LISTED]]
    return ', '.join(texts) + ', ...' * (len(values) > _MAX_LISTED) if texts else 'none'


def learn_examples(checkpoint: str, examples: AnyExamples, out: str, device: str, max_cells: int) -> ClusterNames:
    """Write a model that predicts the classes of examples by the features of another, and return their names.

    Args:
        checkpoint: of that model, with its config inside.
        out: the file.
        max_cells: cells that are remembered, see :class:`mmseg_unsup.NeighbourSet`.

    Raises:
        MemoryError, ValueError: see :meth:`mmseg_unsup.models.clusters.NeighbourSet.fit`.
    """
    cfg, model = load_segmentor(None, checkpoint, device)
    head, n_classes = model.decode_head, len(examples.classes)
    of_set = NeighbourSet(head.in_channels, n_classes).to(device)
    of_set.fit(examples.features(model, Compose(whole_image_pipeline(cfg))), examples.n_images, max_cells)
    head.clusters[EXAMPLES] = of_set
    cfg.model.decode_head.clusters = {
        **(cfg.model.decode_head.get('clusters') or {}),
        EXAMPLES: dict(type='mmseg_unsup.NeighbourSet', n_clusters=n_classes)}
    cfg.model.test_cfg = {**(cfg.model.get('test_cfg') or {}), 'cluster_sets': [EXAMPLES]}
    model.test_cfg = cfg.model.test_cfg
    meta = dict(read_weights(checkpoint)[0].get('meta', {}), cfg=cfg.pretty_text)
    meta['weights_seen'] = add_labels(meta.get('weights_seen', 'unknown'), examples.seen)
    write_checkpoint(out, dict(meta=meta, state_dict=weights_to_cpu(model.state_dict())))
    return class_names(model, examples.classes)


def class_names(model: ClusterSegmentor, classes: Sequence[str]) -> ClusterNames:
    """The names of the classes that a model of examples predicts."""
    colors = cluster_palette(len(classes)).tolist()
    return ClusterNames(*model.cluster_identity(), classes=tuple(
        NamedClass(name, tuple(color), (k, )) for k, (name, color) in enumerate(zip(classes, colors))))


@torch.no_grad()
def features_of(model: ClusterSegmentor, pipeline: Compose, loaded: dict) -> Tensor:
    """A decoded image -> (C, h, w) features that it is predicted with."""
    batch = batch_of_one(model, pipeline(loaded))
    return model.averaged_feat(batch['inputs'])[model.decode_head.in_index][0].float()
