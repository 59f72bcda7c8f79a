"""PriMaPs-EM: prototypes of frozen features, by masks that the features make."""
from typing import Dict, List, Optional

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor

from ...functional import majority_labels, warp_ids
from ...functional.views import view_geometry
from ...registry import MODELS
from ...utils.checks import check_count, is_finite
from ...utils.devices import to_device
from ..losses import confidence_weighted_loss, mean_confidence
from .code_segmentor import CLUSTER, CodeSegmentor
from .smooseg import check_averaged


@MODELS.register_module()
class PriMaPs(CodeSegmentor):
    """Prototypes alone are trained, on frozen features or on codes that another method has learned.

    Masks of an image (:class:`mmseg_unsup.PrincipalMaskHook`) each get the cluster that the teacher of the set
    ``cluster``, a :class:`mmseg_unsup.AveragedSet`, gives most of their cells; its student learns these labels on a
    changed view of the image, and the teacher follows it. Before that the prototypes are those of a k-means by
    gradients, see :class:`mmseg_unsup.PrincipalStartHook`.

    The first view is cropped, flipped and changed in colour, the second one is the whole frame as it is
    (:class:`mmseg_unsup.PairedCropFlip`).

    Args:
        gamma: how much less clusters weigh that the student is sure of; 0 for not at all.
        mask_index: which output of the backbone masks are made of; None for the features that are clustered.

    Attributes:
        masks (Tensor): (N, H, W) uint8 ids of the masks of all training images, 255 for none; in no checkpoint. None
            before they are made.
        is_starting (bool): prototypes are those of the k-means.

    Source: Hahn et al., Boosting Unsupervised Semantic Segmentation with Principal Mask Proposals, TMLR 2024 (arXiv
    2404.16818), section 3.2.

    Raises:
        ValueError: a number that cannot be; ``cluster`` is a set of another kind; see :class:`CodeSegmentor`.
    """

    def __init__(self, *args, gamma: float = 2., mask_index: Optional[int] = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        check_averaged(self)
        if not is_finite(gamma) or gamma < 0:
            raise ValueError(f'gamma must be a number from 0 on, but it is {gamma!r}')
        if mask_index is not None:
            check_count('mask_index', mask_index, low=0)
        self.gamma, self.mask_index = gamma, mask_index
        self.masks: Optional[Tensor] = None
        self.is_starting = False
        if self.with_neck:
            self.neck.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> 'PriMaPs':
        """All but the prototypes stays in eval mode."""
        super().train(mode)
        if self.with_neck:
            self.neck.train(False)
        return self

    def check_ready(self) -> None:
        self.check_started()
        if self.masks is None and not self.is_starting:
            raise RuntimeError('PriMaPs learns masks, and there are none: add masks=dict(type='
                               "'mmseg_unsup.PrincipalMaskHook') to default_hooks")

    def follow(self, steps_per_epoch: float) -> None:
        super().follow(steps_per_epoch)
        clusters = self.clusters[CLUSTER]
        if self.is_starting:  # what predicts is the k-means
            clusters.restart()
        else:
            clusters.follow()

    def loss(self, inputs: List[Tensor], data_samples: list) -> Dict[str, Tensor]:
        """``loss_cluster`` of the start, then ``loss_segmentation``.

        Args:
            inputs: the changed views, and the whole frames.
        """
        whole = self._feats(inputs[-1])
        if self.is_starting:
            return dict(loss_cluster=self.clusters[CLUSTER].student.loss(whole))
        changed = self._feats(inputs[0])
        with torch.autocast(whole.device.type, enabled=False):  # of near clusters, it would change the larger one
            labels = self.labels(whole, self._masks_of(data_samples, whole))
            labels = warp_ids(labels, *view_geometry(data_samples, labels.device))
            return dict(loss_segmentation=self.segmentation_loss(changed, labels))

    @torch.no_grad()
    def _feats(self, images: Tensor) -> Tensor:
        return self.student_map(images).float()

    @torch.no_grad()
    def labels(self, feats: Tensor, masks: Tensor) -> Tensor:
        """(N, C, h, w) features and (N, H, W) masks -> (N, H, W) int64 clusters of the masks, 255 for none."""
        clusters = self.clusters[CLUSTER]
        winners = _enlarged(clusters(feats), masks).argmax(1)
        return majority_labels(winners, masks, clusters.n_clusters)

    def segmentation_loss(self, feats: Tensor, labels: Tensor) -> Tensor:
        """Of the student, for (N, C, h, w) features and (N, H, W) clusters; collective, as it weighs by all images."""
        logits = _enlarged(self.clusters[CLUSTER].student(feats), labels)
        confidence = mean_confidence(logits)
        all_reduce(confidence, 'mean')
        return confidence_weighted_loss(logits, labels, confidence, self.gamma)

    def _masks_of(self, data_samples: list, like: Tensor) -> Tensor:
        """While they are not known, as when the time of a step is measured, an image is one mask."""
        if self.masks is None:
            return torch.zeros(len(like), *like.shape[2:], dtype=torch.uint8, device=like.device)
        numbers = torch.tensor([sample.sample_idx for sample in data_samples])
        return to_device(self.masks[numbers], like.device)


def _enlarged(scores: Tensor, like: Tensor) -> Tensor:
    """(N, K, h, w) scores -> (N, K, H, W), as large as (N, H, W) ids: features that are enlarged have the same."""
    return F.interpolate(scores, like.shape[1:], mode='bilinear', align_corners=False)
