"""A network that was trained without labels, and goes on with a few of them."""
from typing import Dict

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

    Raises:
        ValueError: there is no set ``taught``.
    """

    uses_labels = True

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if TAUGHT not in self.clusters:
            raise ValueError(f'model.decode_head of TaughtSegmentor has the sets {list(self.clusters)}, but no '
                             f"{TAUGHT!r}: add clusters=dict({TAUGHT}=dict(type='mmseg_unsup.TaughtSet'))")

    def loss(self, inputs: Tensor, data_samples: list) -> Dict[str, Tensor]:
        """``loss_classes``: the cross-entropy of logits that are enlarged to the labels, over the pixels of the batch
        that have one; 0 where none has.

        Args:
            inputs: (N, 3, H, W) normalised images.
            data_samples: with ``gt_sem_seg``, (1, H, W) classes, and 255 for no label.
        """
        labels = torch.cat([sample.gt_sem_seg.data for sample in data_samples])
        logits = self.clusters[TAUGHT].logits(self.student_map(inputs)).float()
        logits = F.interpolate(logits, labels.shape[1:], mode='bilinear', align_corners=self.align_corners)
        total = F.cross_entropy(logits, labels.long(), ignore_index=_VOID, reduction='sum')
        return dict(loss_classes=total / (labels != _VOID).sum().clamp(min=1))
