"""Binary cross-entropy in which object and background weigh what the other one has."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import MODELS


def balanced_bce_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Mean of ``w bce`` over the batch, with w the share of background for object pixels, 1 minus it for the others.

    At logits of 0 it is ``2 r (1 - r) ln 2``, with r the share of object pixels in the batch.

    Args:
        logits: (N, H, W).
        masks: (N, H, W), nonzero where the object is.

    Returns:
        Tensor: a float32 scalar, also under autocast; 0 where the batch shows only object or only background.

    Raises:
        ValueError: shapes differ.

    Source: the saliency loss of MaskContrast (arXiv 2102.06191), section 3.3.
    """
    if logits.shape != masks.shape:
        raise ValueError(f'logits and masks must have one shape, but have {tuple(logits.shape)} and '
                         f'{tuple(masks.shape)}')
    with torch.autocast(logits.device.type, enabled=False):
        targets = (masks != 0).float()
        share = targets.mean()
        weights = torch.where(masks != 0, 1 - share, share)
        return F.binary_cross_entropy_with_logits(logits.float(), targets, weights)


@MODELS.register_module()
class BalancedBCELoss(nn.Module):
    """:func:`balanced_bce_loss` times ``loss_weight``."""

    def __init__(self, loss_weight: float = 1.) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, masks: Tensor) -> Tensor:
        return self.loss_weight * balanced_bce_loss(logits, masks)
