"""PiCIE: clustering with invariance to photometric and equivariance to geometric change."""
from typing import Dict, List

from torch import Tensor

from ...registry import MODELS
from ...utils.checks import check_positive
from ..losses import cross_view_loss
from .pseudo_label_segmentor import PseudoLabelSegmentor


@MODELS.register_module()
class PiCIE(PseudoLabelSegmentor):
    """Two views of an image, labelled by clusters, must be classified alike, each by the other's clusters too.

    With ``over_clustering`` it is PiCIE+H.

    Args:
        temperature: of the logits; 1 in the released code.
        within_weight, cross_weight: of the two losses.
        labeller_epochs, over_clustering, rounding: see :class:`PseudoLabelSegmentor` and
            :class:`ViewSegmentor`.

    Source: arXiv 2103.17070; train_picie.py of the released code.
    """

    def __init__(self,
                 *args,
                 temperature: float = 0.1,
                 within_weight: float = 0.5,
                 cross_weight: float = 0.5,
                 **kwargs) -> None:
        super().__init__(*args, **kwargs)
        check_positive('temperature', temperature)
        self.temperature = temperature
        self.loss_weights = dict(loss_within=within_weight, loss_cross=cross_weight)

    def loss(self, inputs: List[Tensor], data_samples: list) -> Dict[str, Tensor]:
        """Weighted ``loss_within`` and ``loss_cross`` of a batch of views, averaged over the heads."""
        labels = self.pseudo_labels(inputs, data_samples)
        feats = self.extract_view_feats(inputs, data_samples)
        by_head = [
            cross_view_loss(feats, of_head, head.prototypes, head.class_weights, self.temperature)
            for head, of_head in zip(self.heads, labels)
        ]
        return {
            name: weight * sum(share * losses[name] for share, losses in zip(self.head_weights, by_head))
            for name, weight in self.loss_weights.items()
        }
