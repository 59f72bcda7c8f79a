"""IIC: invariant information clustering of pixels."""
from typing import Dict, List, Optional, Union

import torch
from torch import Tensor

from ...registry import MODELS
from ...utils.checks import check_count, check_positive
from ..losses import iic_loss
from .view_segmentor import ViewSegmentor, parse_clusters


@MODELS.register_module()
class IIC(ViewSegmentor):
    """The clusters of a cell in one view must tell those of its neighbours in the other: maximal mutual information.

    There is no clustering pass: classifiers give the clusters (:class:`mmseg_unsup.SoftClusterHead`). Every head and
    sub-head has a loss of its own; they are averaged.

    Args:
        over_clustering: clusters of a second head, which only trains: a number, or a multiple of the first head's such
            as ``'3x'``; None for none.
        max_displacement: of the neighbours, in cells of the feature map (stride 4).
        marginal_weight: above 1 it favours clusters of equal size.
        rounding: see :class:`ViewSegmentor`.

    Source: arXiv 1807.06653, section 3.3. Backbone, neck and views are PiCIE's, as in the comparison of arXiv
    2103.17070; the released IIC trains both heads in turn, here they train together.
    """

    def __init__(self,
                 *args,
                 decode_head: dict,
                 over_clustering: Optional[Union[int, str]] = None,
                 max_displacement: int = 2,
                 marginal_weight: float = 1.,
                 **kwargs) -> None:
        super().__init__(*args, decode_head=decode_head, **kwargs)
        if self.num_views != 2:
            raise ValueError(f'IIC compares two views, but model.decode_head.num_views is {self.num_views}')
        check_count('max_displacement', max_displacement, low=0)
        check_positive('marginal_weight', marginal_weight)
        self.max_displacement, self.marginal_weight = max_displacement, marginal_weight
        self.over_head = None
        if over_clustering is not None:
            n_clusters = parse_clusters(over_clustering, self.decode_head.n_clusters)
            self.over_head = MODELS.build(dict(decode_head, n_clusters=n_clusters))

    def loss(self, inputs: List[Tensor], data_samples: list) -> Dict[str, Tensor]:
        """``loss_iic``, and ``loss_iic_over`` of the head with more clusters, each the mean over its sub-heads."""
        first, second = self.extract_raw_view_feats(inputs, data_samples)
        losses = dict(loss_iic=self._head_loss(self.decode_head, first, second))
        if self.over_head is not None:
            losses['loss_iic_over'] = self._head_loss(self.over_head, first, second)
        return {name: loss / len(losses) for name, loss in losses.items()}

    def _head_loss(self, head: torch.nn.Module, first: Tensor, second: Tensor) -> Tensor:
        terms = [
            iic_loss(a, b, max_displacement=self.max_displacement, marginal_weight=self.marginal_weight)
            for a, b in zip(head.probabilities(first), head.probabilities(second))
        ]
        head.record_losses(terms)
        return sum(terms) / len(terms)
