"""How often the most similar segment of the training images has the right class."""
import math
from typing import Optional, Sequence

import torch
import torch.nn.functional as F
from mmengine.dist import get_world_size
from torch import Tensor

from ...functional import describe_segments
from ...registry import PROBES
from ...utils.checks import check_count
from .base import NeighboursProbe


@PROBES.register_module()
class SegmentRetrievalProbe(NeighboursProbe):
    """Each segment gets the class of the most similar segment of the training images; score it by ``match='identity'``.

    Segments are the model's own (``segments`` of the segmentor), found without labels. A segment is described by the
    sum of its cells' features, of unit length, and compared by cosine. The class of a training segment is the most
    frequent one of its labelled cells, the first of equals; without a labelled cell it is left out.

    Args:
        k: neighbours; of more than one, the vote of :class:`mmseg_unsup.clustering.NeighbourVote` with
            ``temperature``.
        max_segments: of a training image, the largest ones; memory is ``2 x max_segments x images x C x 4`` bytes.
        background: class of the cells of no segment, which is not retrieved: training segments whose class it would
            be take their most frequent other one, or are left out. None if every class is retrieved; cells of no
            segment then get class 0.

    Source: MaskContrast, arXiv 2102.06191 (``k=1``, one segment per image, its salient object).
    """
    needs_segments = True
    unit = 'segment'

    def __init__(self,
                 name: str = 'retrieval',
                 k: int = 1,
                 max_segments: int = 32,
                 temperature: float = 0.07,
                 background: Optional[int] = None,
                 **kwargs) -> None:
        super().__init__(name, k, temperature, **kwargs)
        check_count(f'max_segments of the probe {name!r}', max_segments)
        self.max_segments, self.background = max_segments, background

    def begin(self, n_channels: int, n_classes: int, n_images: int, *args, **kwargs) -> None:
        super().begin(n_channels, n_classes, n_images, *args, **kwargs)
        if self.background is not None and not 0 <= self.background < n_classes:
            raise ValueError(f'background of the probe {self.name!r} is {self.background}, but the classes are '
                             f'0..{n_classes - 1}')
        self._begin_rows(4 * math.ceil(n_images / get_world_size()), self.n_classes)

    def add(self, positions: Sequence[int], feats: Tensor, labels=None, segments=None) -> None:
        if labels is None or segments is None:
            missing = 'labels' if labels is None else 'segments'
            raise ValueError(f'the probe {self.name!r} needs {missing}, but got none')
        for position, of_image, image_labels, ids in zip(positions, feats, labels, segments):
            descriptors, sizes = describe_segments(of_image, ids)
            classes = self._classes_of_segments(image_labels, ids, len(sizes))
            largest = sizes.argsort(descending=True, stable=True)
            kept = largest[classes[largest] >= 0][:self.max_segments]
            if len(kept):
                self._keep(position, descriptors[kept], F.one_hot(classes[kept], self.n_classes).to(torch.float32))

    def _classes_of_segments(self, labels: Tensor, ids: Tensor, n_segments: int) -> Tensor:
        """(h, w), (h, w) -> (S,) int64 most frequent class, -1 without one."""
        valid = (ids >= 0) & (labels != self.ignore_index)
        self.check_classes(labels[valid])
        counts = torch.bincount(ids[valid] * self.n_classes + labels[valid], minlength=n_segments * self.n_classes)
        counts = counts.view(n_segments, self.n_classes)
        if self.background is not None:
            counts[:, self.background] = 0
        most, classes = counts.max(1)
        return classes.where(most > 0, torch.full_like(classes, -1))

    def scores(self, feats: Tensor, index: int = 0, segments: Optional[Tensor] = None) -> Tensor:
        return torch.stack([self._paint(of_image, ids) for of_image, ids in zip(feats, segments)])

    def _paint(self, feats: Tensor, ids: Tensor) -> Tensor:
        """(C, h, w), (h, w) -> (classes, h, w) shares of the vote of each cell's segment."""
        descriptors, _ = describe_segments(feats, ids)
        votes = self.vote(descriptors, self.memory, self.memory_labels)
        outside = F.one_hot(ids.new_tensor([self.background or 0]), self.n_classes).to(votes)
        return torch.cat([votes, outside])[ids].permute(2, 0, 1)  # -1, no segment, is the last row
