"""Prototypes with a direction and a length, trained apart: those of PriMaPs."""
from typing import List

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...functional import linear_scores
from ...registry import MODELS
from .cluster_set import CosineClusterSet


@MODELS.register_module()
class WeightNormSet(CosineClusterSet):
    """Trained directions that each have a trained length, 1 at first: a linear classifier without bias, of features as
    they are, whose weight is normalised (arXiv 1602.07868).

    Attributes:
        weight (Parameter): (K, C), directions of any length.
        length (Parameter): (K,).
    """

    scores_are_logits = True

    def __init__(self, in_channels: int, n_clusters: int, unit_start: bool = False) -> None:
        super().__init__(in_channels, n_clusters, unit_start)
        self.length = nn.Parameter(torch.ones(n_clusters))

    def forward(self, feats: Tensor) -> Tensor:
        return linear_scores(feats, *self.tensors())

    def loss(self, feats: Tensor) -> Tensor:
        """That of :class:`CosineClusterSet`, for which lengths do not count; their gradient is 0."""
        with torch.autocast(feats.device.type, enabled=False):
            cosines = linear_scores(F.normalize(feats.float(), dim=1), F.normalize(self.weight, dim=1))
            return -cosines.amax(1).mean() + 0 * self.length.sum()

    @torch.no_grad()
    def point(self, directions: Tensor) -> None:
        """Take (K, C) directions, with length 1."""
        self.weight.copy_(directions)
        self.length.fill_(1)

    def tensors(self) -> List[Tensor]:
        return [self.length[:, None] * F.normalize(self.weight, dim=1)]

    @property
    def centers(self) -> None:
        """None: what wins depends on the length, too."""
