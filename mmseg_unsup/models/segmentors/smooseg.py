"""SmooSeg: frozen features that are alike go to one cluster, by a student and a teacher of prototypes."""
from typing import Dict, List

import torch
from torch import Tensor

from ...registry import MODELS
from ...utils.checks import check_count, check_positive
from ..clusters import AveragedSet
from ..losses import smoothness_loss
from ..losses.correspondence_loss import centred, correlations, other_images
from .code_segmentor import CLUSTER, CodeSegmentor


@MODELS.register_module()
class SmooSeg(CodeSegmentor):
    """Codes whose assignments to clusters are smooth over what looks alike, within an image and between two.

    The set ``cluster`` is a :class:`mmseg_unsup.AveragedSet`. Codes are trained by how its teacher assigns them, which
    gets no gradient; its student learns the teacher's winners on detached codes, and the teacher follows it.

    Args:
        intra_shift, negative_shift: correlations above it draw assignments together, those below push them apart; of
            cells of one image, and of an image and a random other.
        n_negatives: draws of other images.
        temperature: of the cosines with the teacher's prototypes.

    Source: SmooSeg (arXiv 2310.17874); the released constants of COCO-Stuff with a ViT-S/8 are the defaults.

    Raises:
        ValueError: a number that cannot be; ``cluster`` is a set of another kind; see :class:`CodeSegmentor`.
    """

    def __init__(self,
                 *args,
                 intra_shift: float = -0.02,
                 negative_shift: float = 0.48,
                 n_negatives: int = 1,
                 temperature: float = 0.1,
                 **kwargs) -> None:
        super().__init__(*args, **kwargs)
        check_count('n_negatives', n_negatives)
        check_positive('temperature', temperature)
        check_averaged(self)
        self.intra_shift, self.negative_shift = intra_shift, negative_shift
        self.n_negatives, self.temperature = n_negatives, temperature

    def check_ready(self) -> None:
        self.check_started()

    def follow(self, steps_per_epoch: float) -> None:
        super().follow(steps_per_epoch)
        self.clusters[CLUSTER].follow()

    def loss(self, inputs: List[Tensor], data_samples: list) -> Dict[str, Tensor]:
        """``loss_intra``, ``loss_negative`` and ``loss_cluster`` of a batch of at least two images."""
        maps = self.backbone(inputs[0])
        feats, codes = maps[self.neck.in_index], self.neck(maps)[self.decode_head.in_index]
        others = [other_images(len(feats)).to(feats.device) for _ in range(self.n_negatives)]
        return dict(self.smoothness_losses(feats, codes, others), loss_cluster=self.cluster_loss(codes))

    def smoothness_losses(self, feats: Tensor, codes: Tensor, others: List[Tensor]) -> Dict[str, Tensor]:
        """``loss_intra`` and ``loss_negative`` of (N, C, h, w) features and (N, D, h, w) codes, in float32 also under
        autocast.

        Args:
            others: (N,) numbers of other images, of every draw.
        """
        with torch.autocast(codes.device.type, enabled=False):
            return self._smoothness_losses(feats.float(), codes.float(), others)

    def _smoothness_losses(self, feats: Tensor, codes: Tensor, others: List[Tensor]) -> Dict[str, Tensor]:
        shares = (self.clusters[CLUSTER].teacher(codes) / self.temperature).softmax(1)

        def term(of: Tensor, shift: float) -> Tensor:
            return smoothness_loss(centred(correlations(feats, feats[of])), correlations(shares, shares[of]), shift)

        negatives = [term(of, self.negative_shift) for of in others]
        return dict(loss_intra=term(slice(None), self.intra_shift), loss_negative=sum(negatives) / len(negatives))


def check_averaged(model: CodeSegmentor) -> None:
    """Raise ValueError unless the set ``cluster`` has a student and a teacher."""
    found = model.clusters[CLUSTER]
    if not isinstance(found, AveragedSet):
        raise ValueError(f'model.decode_head.clusters.{CLUSTER} of {type(model).__name__} is a {type(found).__name__}: '
                         f"set its type to 'mmseg_unsup.AveragedSet'")
