"""InfoNCE between pixels and the prototypes of objects."""
from typing import Dict, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import MODELS
from ...utils.checks import check_positive


def mask_nce_loss(anchors: Tensor,
                  object_ids: Tensor,
                  prototypes: Tensor,
                  negatives: Optional[Tensor] = None,
                  temperature: float = 0.5) -> Dict[str, Tensor]:
    """Every anchor must find the prototype of its own object among those of the batch and further negatives.

    With a_i an anchor of object b(i), mu the P prototypes and the K negatives, and p_b the share of the anchors that
    object b has,

        l_i = -ln exp(a_i.mu_b(i) / T) / sum_j exp(a_i.mu_j / T),   w_b = 1 / ln(1.02 + p_b),
        loss = sum_i w_b(i) l_i / sum_i w_b(i).

    Args:
        anchors: (n, D) of unit length.
        object_ids: (n,) int64 in [0, P).
        prototypes: (P, D) of unit length, one an object.
        negatives: (K, D) of unit length, of no object of the batch.
        temperature: T.

    Returns:
        dict: ``loss``, a float32 scalar, also under autocast; 0, with a gradient of 0, without anchors. ``accuracy``,
        per cent of the anchors whose own prototype is the nearest; 0 without anchors.

    Source: MaskContrast (arXiv 2102.06191), section 3.2; the weights are those of E-Net (arXiv 1606.02147).
    """
    with torch.autocast(anchors.device.type, enabled=False):
        anchors, prototypes = anchors.float(), prototypes.float()
        if not len(anchors):
            return dict(loss=anchors.sum(), accuracy=anchors.new_zeros(()))
        classifier = prototypes if negatives is None else torch.cat([prototypes, negatives.float()])
        logits = anchors @ classifier.t() / temperature
        # bincount asks the device for the largest
        counts = object_ids.new_zeros(len(classifier)).scatter_add_(0, object_ids, torch.ones_like(object_ids))
        shares = counts.float() / len(anchors)
        loss = F.cross_entropy(logits, object_ids, weight=1 / torch.log(1.02 + shares))
        accuracy = 100 * (logits.detach().argmax(1) == object_ids).float().mean()
        return dict(loss=loss, accuracy=accuracy)


@MODELS.register_module()
class MaskNCELoss(nn.Module):
    """:func:`mask_nce_loss` times ``loss_weight``.

    Raises:
        ValueError: ``temperature`` is not positive.
    """

    def __init__(self, temperature: float = 0.5, loss_weight: float = 1.) -> None:
        super().__init__()
        check_positive('temperature', temperature)
        self.temperature, self.loss_weight = temperature, loss_weight

    def forward(self,
                anchors: Tensor,
                object_ids: Tensor,
                prototypes: Tensor,
                negatives: Optional[Tensor] = None) -> Dict[str, Tensor]:
        terms = mask_nce_loss(anchors, object_ids, prototypes, negatives, self.temperature)
        return dict(terms, loss=self.loss_weight * terms['loss'])
