"""Linear classifiers whose classes are the clusters."""
from typing import List

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import MODELS
from ...utils.checks import check_count
from .cluster_head import ClusterHead


@MODELS.register_module()
class SoftClusterHead(ClusterHead):
    """K-way classifiers, several of them side by side (*sub-heads*); the one with the lowest loss predicts.

    Its trained set is ``classifier``.

    Args:
        in_channels, n_clusters, num_views, distance, in_index: see :class:`ClusterHead`.
        num_sub_heads: classifiers that start from different weights.
        momentum: of the running mean of each sub-head's loss.

    Attributes:
        running_loss (Tensor): (num_sub_heads,), so that a checkpoint knows which one is best.

    Raises:
        ValueError: no sub-head.
    """

    def __init__(self, *args, num_sub_heads: int = 1, momentum: float = 0.02, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        check_count('num_sub_heads', num_sub_heads)
        self.momentum = momentum
        self.classifiers = nn.ModuleList(nn.Conv2d(self.in_channels, self.n_clusters, 1) for _ in range(num_sub_heads))
        self.register_buffer('running_loss', torch.zeros(num_sub_heads))

    @property
    def trained_sets(self) -> List[str]:
        return ['classifier']

    def trained_scores(self, feats: Tensor, name: str) -> Tensor:
        return F.conv2d(feats, *self.trained_tensors(name))

    def trained_tensors(self, name: str) -> List[Tensor]:
        """Weight and bias of the best sub-head; chosen on the device, which exporters can follow."""
        best = self.running_loss.argmin(0, keepdim=True)
        parts = ([getattr(classifier, part) for classifier in self.classifiers] for part in ('weight', 'bias'))
        return [torch.stack(list(part)).index_select(0, best)[0] for part in parts]

    def probabilities(self, feats: Tensor) -> List[Tensor]:
        """(N, C, h, w) -> per sub-head, (N, K, h, w) probabilities of the clusters, float32."""
        return [classifier(feats).float().softmax(1) for classifier in self.classifiers]

    @torch.no_grad()
    def record_losses(self, losses: List[Tensor]) -> None:
        """Fold the losses of a step into the running means; the first step sets them."""
        losses = torch.stack(losses).detach().to(self.running_loss)
        momentum = self.momentum if self.running_loss.any() else 1.
        self.running_loss.lerp_(losses, momentum)
