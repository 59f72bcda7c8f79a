"""How well the nearest labelled cells of the training images tell the classes: in-context evaluation."""
import math
from typing import Optional, Sequence

import torch
from mmengine.dist import get_world_size
from torch import Tensor

from ...clustering.soft_labels import labelled_cells
from ...registry import PROBES
from ...utils.checks import check_count
from ...utils.memory import check_memory
from .base import NeighboursProbe


@PROBES.register_module()
class DenseKNNProbe(NeighboursProbe):
    """Each cell is classified by its nearest labelled cells of the training images; score it by ``match='identity'``.

    The label of a cell is the share of each class among its labelled pixels. An image gives ``max_cells // n_images``
    of its labelled cells, at least one, those of rare classes first
    (:func:`mmseg_unsup.clustering.balanced_order`), drawn by its position; of more than ``max_cells`` images the first
    ones do. Nothing is trained. Scores are shares of a vote, see :class:`mmseg_unsup.clustering.NeighbourVote`. A rank
    needs ``2 x max_cells x (C + K) x 4`` bytes.

    Args:
        k, temperature, backend, block_bytes: see :class:`mmseg_unsup.clustering.NeighbourVote`.
        max_cells: size of the memory; published numbers are with 10^5 to 10^7.
        void_class: a class that void pixels count as, which they are not by default. The released code takes 0.

    Raises:
        MemoryError: at the first image: there is not enough memory; see :class:`NeighboursProbe`.

    Source: the evaluation of arXiv 2306.01667 as Open Hummingbird released it (version 2.0.0).
    """
    needs_label_maps = True
    remedy = 'give more images or max_cells'

    def __init__(self,
                 name: str = 'knn',
                 k: int = 30,
                 max_cells: int = 20_000,
                 temperature: float = 0.02,
                 void_class: Optional[int] = None,
                 **kwargs) -> None:
        super().__init__(name, k, temperature, **kwargs)
        check_count(f'max_cells of the probe {name!r}', max_cells)
        if void_class is not None:
            check_count(f'void_class of the probe {name!r}', void_class, low=0)
        self.max_cells, self.void_class = max_cells, void_class

    def begin(self, *args, **kwargs) -> None:
        super().begin(*args, **kwargs)
        self._per_image = max(1, self.max_cells // self.n_images)
        self._begin_rows(0, self.n_classes)
        self._is_reserved = False

    def add(self, positions: Sequence[int], feats: Tensor, labels=None, segments=None) -> None:
        if labels is None:
            raise ValueError(f'the probe {self.name!r} learns from labels, but got none')
        for position, of_image, image_labels in zip(positions, feats, labels):
            if position < self.max_cells:
                self._reserve(of_image[0].numel())
                if self.void_class is not None:
                    image_labels = torch.where(image_labels == self.ignore_index, self.void_class, image_labels)
                rows, shares = labelled_cells(of_image, image_labels, self.n_classes, self._per_image,
                                              (self.seed, position), self.ignore_index, f' for the probe {self.name!r}')
                if len(rows):
                    self._keep(position, rows, shares)

    def _reserve(self, n_cells: int) -> None:
        """See to it, once, that there is memory, as far as the cells of the first image tell."""
        if self._is_reserved:
            return
        self._is_reserved = True
        n_images, per_image = min(self.n_images, self.max_cells), min(self._per_image, n_cells)
        check_memory(
            f'the probe {self.name!r}, a memory of {n_images * per_image} cells of {self.n_channels} channels and '
            f'{self.n_classes} classes,', 8. * n_images * per_image * (self.n_channels + self.n_classes),
            f'lower max_cells={self.max_cells}', self.device)
        self._begin_rows(per_image * math.ceil(n_images / get_world_size()), self.n_classes)

    def scores(self, feats: Tensor, index: int = 0, segments: Optional[Tensor] = None) -> Tensor:
        return self.vote.on_maps(feats, self.memory, self.memory_labels)
