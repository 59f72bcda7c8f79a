"""A network that was trained without labels, and goes on with a few of them."""
from typing import Dict, Optional, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ...registry import MODELS
from .cluster_segmentor import ClusterSegmentor

TAUGHT = 'taught'
_VOID = 255


@MODELS.register_module()
class TaughtSegmentor(ClusterSegmentor):
    """Backbone and neck of another method, and the set ``taught`` of classes, all of which labels train; a
    :class:`mmseg_unsup.FrozenBackbone` stays as it is.

    Args:
        class_weight: what a pixel of each class weighs in the loss; None for all alike.

    Raises:
        ValueError: there is no set ``taught``; it has another number of classes than there are weights.
    """

    uses_labels = True

    def __init__(self, *args, class_weight: Optional[Sequence[float]] = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if TAUGHT not in self.clusters:
            raise ValueError(f'model.decode_head of TaughtSegmentor has the sets {list(self.clusters)}, but no '
                             f"{TAUGHT!r}: add clusters=dict({TAUGHT}=dict(type='mmseg_unsup.TaughtSet'))")
        n_classes = self.clusters[TAUGHT].n_clusters
        weight = torch.ones(n_classes) if class_weight is None else torch.tensor(class_weight, dtype=torch.float32)
        if len(weight) != n_classes:
            raise ValueError(f'model.class_weight has {len(weight)} numbers, but there are {n_classes} classes: give '
                             'one for each')
        self.register_buffer('class_weight', weight, persistent=False)

    def loss(self, inputs: Tensor, data_samples: list) -> Dict[str, Tensor]:
        """``loss_classes``: the cross-entropy of logits that are enlarged to the labels, on average over the pixels of
        the batch that have one, by their weights; 0 where none has.

        Args:
            inputs: (N, 3, H, W) normalised images.
            data_samples: with ``gt_sem_seg``, (1, H, W) classes, and 255 for no label.
        """
        labels = torch.cat([sample.gt_sem_seg.data for sample in data_samples])
        logits = self.clusters[TAUGHT].logits(self.student_map(inputs)).float()
        logits = F.interpolate(logits, labels.shape[1:], mode='bilinear', align_corners=self.align_corners)
        total = F.cross_entropy(logits, labels.long(), self.class_weight, ignore_index=_VOID, reduction='sum')
        weights = self.class_weight[labels[labels != _VOID].long()]
        return dict(loss_classes=total / weights.sum() if len(weights) else total)
