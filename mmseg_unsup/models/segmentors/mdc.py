"""MDC: DeepCluster on pixels, the baseline that PiCIE is compared with."""
from typing import Dict, List

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import MODELS
from ...utils.checks import check_positive
from .pseudo_label_segmentor import PseudoLabelSegmentor

CLASSIFIERS = ('learnable', 'prototypes')


@MODELS.register_module()
class MDC(PseudoLabelSegmentor):
    """One view of an image, labelled by clusters, is classified by a linear layer that starts anew at each clustering.

    Args:
        classifier: ``'learnable'``, a 1x1 convolution with weights from N(0, 0.01) and bias 0 after each clustering,
            or ``'prototypes'``, the cluster centres themselves (``--nonparametric`` of the released code).
        temperature: of the logits of prototypes; a learnable classifier finds its own.
        labeller_epochs, over_clustering, rounding: see :class:`PseudoLabelSegmentor` and
            :class:`ViewSegmentor`.

    Source: "modified DeepCluster" of arXiv 2103.17070, section 4; train_mdc.py of the released PiCIE code.
    """

    def __init__(self, *args, classifier: str = 'learnable', temperature: float = 0.1, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if classifier not in CLASSIFIERS:
            raise ValueError(f'classifier={classifier!r} is not one of {CLASSIFIERS}')
        if self.num_views != 1:
            raise ValueError(f'MDC trains on one view, but model.decode_head.num_views is {self.num_views}')
        check_positive('temperature', temperature)
        self.temperature = temperature
        heads = self.heads if classifier == 'learnable' else []
        self.classifiers = nn.ModuleList(nn.Linear(head.in_channels, head.n_clusters) for head in heads)

    def restart(self, generator: torch.Generator) -> List[nn.Parameter]:
        """Draw the classifiers anew."""
        for classifier in self.classifiers:
            weight = torch.normal(0., 0.01, classifier.weight.shape, generator=generator)
            classifier.weight.data.copy_(weight)
            classifier.bias.data.zero_()
        return list(self.classifiers.parameters())

    def loss(self, inputs: List[Tensor], data_samples: list) -> Dict[str, Tensor]:
        """``loss_cluster``, the cross-entropy with class weights, averaged over the heads."""
        labels = self.pseudo_labels(inputs, data_samples)
        feat, = self.extract_view_feats(inputs, data_samples)
        rows = feat.permute(0, 2, 3, 1).flatten(0, 2)
        terms = []
        for i, (head, (of_view, )) in enumerate(zip(self.heads, labels)):
            logits = self.classifiers[i](rows) if self.classifiers else rows @ head.prototypes[0].t() / self.temperature
            terms.append(F.cross_entropy(logits, of_view.flatten(), head.class_weights[0]))
        return dict(loss_cluster=sum(share * term for share, term in zip(self.head_weights, terms)))
