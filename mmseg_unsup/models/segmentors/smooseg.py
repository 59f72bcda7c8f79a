"""SmooSeg: frozen features that are alike go to one cluster, by a student and a teacher of prototypes."""
import math
from typing import Dict, List, Union

import torch
from mmengine.dist import get_world_size
from torch import Tensor

from ...registry import MODELS
from ...utils.checks import check_count, check_positive, check_share, is_finite
from ...utils.whole_batch import every_nth, gather_images, mean_of_batch
from ..clusters import AveragedSet
from ..losses import smoothness_loss
from ..losses.correspondence_loss import centred, correlations, random_others
from .code_segmentor import CLUSTER, CodeSegmentor

Shift = Union[float, dict]
_RANKED = 100_000  # correlations that a quantile is taken of


@MODELS.register_module()
class SmooSeg(CodeSegmentor):
    """Codes whose assignments to clusters are smooth over what looks alike, within an image and between two.

    The set ``cluster`` is a :class:`mmseg_unsup.AveragedSet`. Codes are trained by how its teacher assigns them, which
    gets no gradient; its student learns the teacher's winners on detached codes, and the teacher follows it.

    Args:
        intra_shift, negative_shift: correlations above it draw assignments together, those below push them apart; of
            cells of one image, and of an image and a random other. ``dict(quantile=0.25)`` takes in every step the
            shift below which that share of the correlations lies, for features of which no shift is known.
        n_negatives: draws of other images.
        temperature: of the cosines with the teacher's prototypes.

    Source: SmooSeg (arXiv 2310.17874); the released constants of COCO-Stuff with a ViT-S/8 are the defaults.

    Raises:
        ValueError: a number that cannot be; ``cluster`` is a set of another kind; see :class:`CodeSegmentor`.
    """

    compares_images = True

    def __init__(self,
                 *args,
                 intra_shift: Shift = -0.02,
                 negative_shift: Shift = 0.48,
                 n_negatives: int = 1,
                 temperature: float = 0.1,
                 **kwargs) -> None:
        super().__init__(*args, **kwargs)
        check_count('n_negatives', n_negatives)
        check_positive('temperature', temperature)
        check_averaged(self)
        for name, shift in (('intra_shift', intra_shift), ('negative_shift', negative_shift)):
            check_shift(name, shift)
        self.intra_shift, self.negative_shift = intra_shift, negative_shift
        self.n_negatives, self.temperature = n_negatives, temperature

    def check_ready(self) -> None:
        self.check_started()

    def follow(self, steps_per_epoch: float) -> None:
        super().follow(steps_per_epoch)
        self.clusters[CLUSTER].follow()

    def loss(self, inputs: List[Tensor], data_samples: list) -> Dict[str, Tensor]:
        """``loss_intra``, ``loss_negative`` and ``loss_cluster`` of a batch; one image has no other, and no
        ``loss_negative``."""
        maps = self.backbone(inputs[0])
        feats, codes = maps[self.neck.in_index], self.neck(maps)[self.decode_head.in_index]
        others = random_others(len(feats), self.n_negatives, feats.device)
        return dict(self.smoothness_losses(feats, codes, others), loss_cluster=self.cluster_loss(codes))

    def smoothness_losses(self, feats: Tensor, codes: Tensor, others: List[Tensor]) -> Dict[str, Tensor]:
        """``loss_intra`` and ``loss_negative`` of (N, C, h, w) features and (N, D, h, w) codes, in float32 also under
        autocast.

        Args:
            others: (N,) numbers of other images in the batch of all processes, of every draw.
        """
        with torch.autocast(codes.device.type, enabled=False):
            return self._smoothness_losses(feats.float(), codes.float(), others)

    def _smoothness_losses(self, feats: Tensor, codes: Tensor, others: List[Tensor]) -> Dict[str, Tensor]:
        shares = (self.clusters[CLUSTER].teacher(codes) / self.temperature).softmax(1)

        # processes exchange them: 41 MB for 32 images of 28 x 28 cells, 384 channels and 27 clusters
        all_feats, all_shares = (gather_images(maps) for maps in (feats, shares))

        def term(with_feats: Tensor, with_shares: Tensor, shift: Shift) -> Tensor:
            found = correlations(feats, with_feats)
            found = centred(found, mean_of_batch(found))
            return smoothness_loss(found, correlations(shares, with_shares), shift_of(found, shift))

        losses = dict(loss_intra=term(feats, shares, self.intra_shift))
        negatives = [term(all_feats[of], all_shares[of], self.negative_shift) for of in others]
        return dict(losses, loss_negative=sum(negatives) / len(negatives)) if negatives else losses


def shift_of(found: Tensor, shift: Shift) -> Union[float, Tensor]:
    """The shift for (N, a, b, c, d) correlations; a quantile is that of evenly spaced ones, of all processes."""
    if not isinstance(shift, dict):
        return shift
    step = -(-found.numel() * get_world_size() // _RANKED)
    while math.gcd(step, found.shape[3] * found.shape[4]) > 1:  # else some cells would never be looked at
        step += 1
    return every_nth(found, step).quantile(shift['quantile'])


def check_shift(name: str, shift: Shift) -> None:
    """Raise ValueError unless this is a number or the share of a quantile."""
    if isinstance(shift, dict) and [*shift] == ['quantile']:
        check_share(f'{name}.quantile', shift['quantile'])
    elif not is_finite(shift):
        raise ValueError(f'{name} must be a number or dict(quantile=SHARE), but it is {shift!r}')


def check_averaged(model: CodeSegmentor) -> None:
    """Raise ValueError unless the set ``cluster`` has a student and a teacher."""
    found = model.clusters[CLUSTER]
    if not isinstance(found, AveragedSet):
        raise ValueError(f'model.decode_head.clusters.{CLUSTER} of {type(model).__name__} is a {type(found).__name__}: '
                         f"set its type to 'mmseg_unsup.AveragedSet'")
