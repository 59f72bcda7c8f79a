"""PriMaPs' loss: what a network is sure of anyway weighs little."""
import torch
import torch.nn.functional as F
from torch import Tensor

from ...functional import NO_MASK


def confidence_weighted_loss(logits: Tensor, labels: Tensor, confidence: Tensor, gamma: float = 2.) -> Tensor:
    """The cross-entropy, a cluster weighing ``(1 - confidence)^gamma``, summed over labelled cells and divided by all
    cells, in float32 also under autocast.

    Args:
        logits: (N, K, H, W).
        labels: (N, H, W) int64 clusters, 255 for none.
        confidence: (K,), see :func:`mean_confidence`.

    Source: Hahn et al., TMLR 2024 (arXiv 2404.16818), equation 6; ``FocalLoss`` of the released code.
    """
    with torch.autocast(logits.device.type, enabled=False):
        losses = F.cross_entropy(logits.float(), labels, (1 - confidence)**gamma, ignore_index=NO_MASK,
                                 reduction='none')
    return losses.mean()


@torch.no_grad()
def mean_confidence(logits: Tensor) -> Tensor:
    """(N, K, H, W) logits -> (K,) mean probability of every cluster over all cells, float32."""
    return logits.float().softmax(1).mean((0, 2, 3))
