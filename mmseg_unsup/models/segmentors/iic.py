"""IIC: invariant information clustering of pixels."""
from typing import Dict, List, Sequence

from torch import Tensor

from ...functional import view_features
from ...registry import MODELS
from ...utils.checks import check_count, check_positive
from ..clusters import ClassifierSet, add_levels
from ..clusters.over_clustering import Entry
from ..losses import iic_loss
from .cluster_segmentor import ClusterSegmentor


@MODELS.register_module()
class IIC(ClusterSegmentor):
    """The clusters of a cell in one view must tell those of its neighbours in the other: maximal mutual information.

    There is no clustering pass: classifiers give the clusters, the set ``classifier`` (:class:`ClassifierSet`). Every
    level and sub-head has a loss of its own; they are averaged.

    Args:
        over_clustering: further levels of clusters that only train, see :func:`add_levels`.
        num_sub_heads, momentum: see :class:`ClassifierSet`.
        max_displacement: of the neighbours, in cells of the feature map (stride 4).
        marginal_weight: above 1 it favours clusters of equal size.

    Source: arXiv 1807.06653, section 3.3. Backbone, neck and views are PiCIE's, as in the comparison of arXiv
    2103.17070; the released IIC trains both heads in turn, here they train together.
    """

    def __init__(self,
                 *args,
                 over_clustering: Sequence[Entry] = (),
                 num_sub_heads: int = 1,
                 momentum: float = 0.02,
                 max_displacement: int = 2,
                 marginal_weight: float = 1.,
                 **kwargs) -> None:
        super().__init__(*args, **kwargs)
        check_count('max_displacement', max_displacement, low=0)
        check_positive('marginal_weight', marginal_weight)
        self.max_displacement, self.marginal_weight = max_displacement, marginal_weight
        head = self.decode_head
        self.levels = add_levels(
            head, lambda k: ClassifierSet(head.in_channels, k, num_sub_heads, momentum), ['classifier'],
            over_clustering)

    def loss(self, inputs: List[Tensor], data_samples: list) -> Dict[str, Tensor]:
        """``loss_iic``, and ``loss_iic_over``, ``loss_iic_over2`` ... of levels with more clusters, each the mean over
        its sub-heads times its share."""
        first, second = view_features(self.student_map, inputs, data_samples, apart=True)
        names = ['loss_iic', 'loss_iic_over', *(f'loss_iic_over{i}' for i in range(2, len(self.levels)))]
        return {name: level.share * self._level_loss(level.sets[0], first, second)
                for name, level in zip(names, self.levels)}

    def _level_loss(self, classifiers: ClassifierSet, first: Tensor, second: Tensor) -> Tensor:
        terms = [
            iic_loss(a, b, max_displacement=self.max_displacement, marginal_weight=self.marginal_weight)
            for a, b in zip(classifiers.probabilities(first), classifiers.probabilities(second))
        ]
        classifiers.record_losses(terms)
        return sum(terms) / len(terms)
