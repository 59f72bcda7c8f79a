"""MDC: DeepCluster on pixels, the baseline that PiCIE is compared with."""
from typing import Dict, List, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...functional import unit
from ...registry import MODELS
from ...utils.checks import check_choice, check_positive
from ..clusters.over_clustering import Entry
from .cluster_segmentor import ClusterSegmentor

CLASSIFIERS = ('learnable', 'prototypes')


@MODELS.register_module()
class MDC(ClusterSegmentor):
    """One view of an image, labelled by clusters, is classified by a linear layer that starts anew at each clustering.

    Args:
        classifier: ``'learnable'``, a 1x1 convolution with weights from N(0, 0.01) and bias 0 after each clustering,
            or ``'prototypes'``, the cluster centres themselves (``--nonparametric`` of the released code).
        temperature: of the logits of prototypes; a learnable classifier finds its own.
        target_generator, over_clustering: see :class:`PiCIE`.

    Source: "modified DeepCluster" of arXiv 2103.17070, section 4; train_mdc.py of the released PiCIE code.
    """

    def __init__(self,
                 *args,
                 target_generator: dict = dict(type='mmseg_unsup.PrototypeTeacher'),
                 over_clustering: Sequence[Entry] = (),
                 classifier: str = 'learnable',
                 temperature: float = 0.1,
                 **kwargs) -> None:
        super().__init__(*args, **kwargs)
        check_choice('model.classifier', classifier, CLASSIFIERS)
        check_positive('temperature', temperature)
        self.temperature = temperature
        self.target_generator = MODELS.build(
            dict(target_generator, student=self, num_views=1, over_clustering=over_clustering))
        self.levels = self.target_generator.levels
        levels = self.levels if classifier == 'learnable' else []
        self.classifiers = nn.ModuleList(
            nn.Linear(self.decode_head.in_channels, level.sets[0].n_clusters) for level in levels)

    def restart(self, generator: torch.Generator) -> List[nn.Parameter]:
        """Draw the classifiers anew."""
        for classifier in self.classifiers:
            weight = torch.normal(0., 0.01, classifier.weight.shape, generator=generator)
            classifier.weight.data.copy_(weight)
            classifier.bias.data.zero_()
        return list(self.classifiers.parameters())

    def loss(self, inputs: List[Tensor], data_samples: list) -> Dict[str, Tensor]:
        """``loss_cluster``, the cross-entropy with class weights, averaged over the levels."""
        labels = self.target_generator(inputs, data_samples)
        images, = inputs
        rows = unit(self.student_map(images)).permute(0, 2, 3, 1).flatten(0, 2)
        terms = []
        for i, (level, (of_view, )) in enumerate(zip(self.levels, labels)):
            prototypes, = level.sets
            logits = self.classifiers[i](rows) if self.classifiers else rows @ prototypes.weight.t() / self.temperature
            terms.append(level.share * F.cross_entropy(logits, of_view.flatten(), prototypes.class_weights))
        return dict(loss_cluster=sum(terms))
