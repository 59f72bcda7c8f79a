"""Classes of labelled examples in the place of clusters."""
from typing import Iterable, List, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...clustering import NeighbourVote, labelled_cells
from ...registry import MODELS
from ...utils.checks import check_count
from ...utils.memory import check_memory
from .cluster_set import ClusterSet


@MODELS.register_module()
class NeighbourSet(ClusterSet):
    """Classes that a few labelled images show: a cell gets those of its nearest neighbours among their cells.

    Scores are shares of a vote, from 0 to 1, which sum to 1 in every cell: that of the winner, enlarged to the image
    and averaged over its pixels, is how sure the set is of an image (:func:`mmseg_unsup.functional.winner_map`).

    Args:
        n_clusters: K, the classes.
        vote: see :class:`mmseg_unsup.clustering.NeighbourVote`.

    Attributes:
        memory (Tensor), labels (Tensor): (M, C) cells of unit length and their (M, K) shares of the classes, no rows
            before the fit.

    Raises:
        ValueError: an option that cannot be; see :class:`ClusterSet`.
    """

    sized = ('memory', 'labels')
    scores_are_shares = True

    def __init__(self, in_channels: int, n_clusters: int, **vote) -> None:
        super().__init__(in_channels, n_clusters)
        self.vote = NeighbourVote(**vote)
        self.register_buffer('memory', torch.zeros(0, in_channels))
        self.register_buffer('labels', torch.zeros(0, n_clusters))

    @property
    def is_fitted(self) -> bool:
        return len(self.memory) > 0

    @torch.no_grad()
    def fit(self, images: Iterable[Tuple[Tensor, Tensor]], n_images: int, max_cells: int = 20_000, seed: int = 0,
            ignore_index: int = 255) -> None:
        """Remember cells of labelled images, those of rare classes first.

        Args:
            images: (C, h, w) features of any length and (H, W) labels of the same frame, one after the other.
            n_images: of them.
            max_cells: of the memory; every image gives ``max_cells // n_images`` at most, and one at least.
            seed: of the choice among more.

        Raises:
            MemoryError: at the first image: so many cells do not fit.
            ValueError: a label is no class, features are not finite, or no pixel is labelled.
        """
        check_count('max_cells', max_cells)
        rows, labels, per_image = [], [], max(1, max_cells // n_images)
        for i, (feats, of_image) in enumerate(images):
            if not i:
                self._check_memory(n_images * min(per_image, feats[0].numel()))
            found = labelled_cells(feats.float(), of_image, self.n_clusters, per_image, (seed, i), ignore_index)
            rows.append(F.normalize(found[0], dim=1))
            labels.append(found[1])
        self._keep(torch.cat(rows), torch.cat(labels))

    def _keep(self, rows: Tensor, labels: Tensor) -> None:
        if not len(rows):
            raise ValueError('no pixel of the examples is labelled: give label maps that show a class')
        if not rows.isfinite().all():
            raise ValueError('features of the examples are not finite: check the weights')
        self.memory, self.labels = rows.to(self.memory), labels.to(self.labels)

    def _check_memory(self, n_cells: int) -> None:
        check_memory(f'a memory of {n_cells} cells of {self.in_channels} channels and {self.n_clusters} classes',
                     8. * n_cells * (self.in_channels + self.n_clusters), 'lower max_cells', self.memory.device)

    def forward(self, feats: Tensor) -> Tensor:
        return self.vote.on_maps(feats, self.memory, self.labels)

    def tensors(self) -> List[Tensor]:
        return [self.memory, self.labels]
