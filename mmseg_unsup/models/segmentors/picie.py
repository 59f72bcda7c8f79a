"""PiCIE: clustering with invariance to photometric and equivariance to geometric change."""
from typing import Dict, List, Optional, Sequence

from torch import Tensor

from ...functional import unit, view_features
from ...registry import MODELS
from ...utils.checks import check_positive
from ..clusters.over_clustering import Entry
from ..losses import cross_view_loss
from .cluster_segmentor import ClusterSegmentor


@MODELS.register_module()
class PiCIE(ClusterSegmentor):
    """Two views of an image, labelled by clusters, must be classified alike, each by the other's clusters too.

    With ``over_clustering`` it is PiCIE+H.

    Args:
        temperature: of the logits; 1 in the released code.
        within_weight, cross_weight: of the two losses.
        target_generator: config of the part that labels the views, a :class:`mmseg_unsup.PrototypeTeacher`.
        over_clustering, rounding: see :class:`mmseg_unsup.PrototypeTeacher`.

    Source: arXiv 2103.17070; train_picie.py of the released code.
    """

    def __init__(self,
                 *args,
                 target_generator: dict = dict(type='mmseg_unsup.PrototypeTeacher'),
                 over_clustering: Sequence[Entry] = (),
                 temperature: float = 0.1,
                 within_weight: float = 0.5,
                 cross_weight: float = 0.5,
                 rounding: Optional[str] = None,
                 **kwargs) -> None:
        super().__init__(*args, **kwargs)
        check_positive('temperature', temperature)
        self.temperature, self.rounding = temperature, rounding
        self.target_generator = MODELS.build(
            dict(target_generator, student=self, num_views=2, over_clustering=over_clustering, rounding=rounding))
        self.levels = self.target_generator.levels
        self.loss_weights = dict(loss_within=within_weight, loss_cross=cross_weight)

    def loss(self, inputs: List[Tensor], data_samples: list) -> Dict[str, Tensor]:
        """Weighted ``loss_within`` and ``loss_cross`` of a batch of views, averaged over the levels."""
        labels = self.target_generator(inputs, data_samples)
        feats = view_features(self.student_map, inputs, data_samples, self.rounding, apart=True)
        feats = [unit(feat) for feat in feats]
        by_level = cross_view_loss(feats, labels, [level.prototypes for level in self.levels],
                                   [level.class_weights for level in self.levels], self.temperature)
        return {
            name: weight * sum(level.share * losses[name] for level, losses in zip(self.levels, by_level))
            for name, weight in self.loss_weights.items()
        }
