"""STEGO: codes of frozen features, whose correlations within and between images are sharpened."""
from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Optional, Sequence

from torch import Tensor

from ...registry import MODELS
from ...utils.checks import check_count
from ..losses.correspondence_loss import (Term, centred, correlations, correspondence_loss, other_images,
                                          random_points, sample_points)
from .code_segmentor import CodeSegmentor


@dataclass
class Coded:
    """Maps of images, or what they are at points."""
    feats: Tensor  # (N, C, h, w) frozen features
    codes: Tensor  # (N, D, h, w)

    def at(self, points: Tensor) -> 'Coded':
        """At (N, S, S, 2) points: h = w = S."""
        return Coded(sample_points(self.feats, points), sample_points(self.codes, points))

    def of(self, images: Tensor) -> 'Coded':
        """Those of images by their numbers."""
        return Coded(self.feats[images], self.codes[images])


class Draw(NamedTuple):
    """What a step draws at random."""
    points: Tensor  # (N, S, S, 2) of the images
    other_points: Tensor  # (N, S, S, 2) of partners and of other images
    others: List[Tensor]  # (N,) numbers of other images, of every draw


@MODELS.register_module()
class STEGO(CodeSegmentor):
    """Codes of two cells come closer where their frozen features correlate by more than a shift, and part else.

    Pairs of cells are of an image and itself, of an image and a partner that looks alike
    (:class:`mmseg_unsup.PartnerDataset`), and of an image and random others. The set ``cluster`` is trained on detached
    codes.

    Args:
        intra, inter, negative: (weight, shift) of the three kinds of pairs.
        n_points: side of the grid of points that are drawn of an image.
        n_negatives: draws of other images.
        pointwise: take the mean correlation of every cell away, see
            :func:`~mmseg_unsup.models.losses.correspondence_loss.centred`.
        floor, ceiling: of the correlations of codes, see
            :func:`~mmseg_unsup.models.losses.correspondence_loss.correspondence_loss`.

    Source: STEGO (arXiv 2203.08414), section 4; ``ContrastiveCorrelationLoss`` and ``training_step`` of the released
    code, whose constants of COCO-Stuff with a ViT-S/8 are the defaults.

    Raises:
        ValueError: a number that cannot be; see :class:`CodeSegmentor`.
    """

    def __init__(self,
                 *args,
                 intra: Sequence[float] = (0.67, 0.08),
                 inter: Sequence[float] = (0.25, 0.02),
                 negative: Sequence[float] = (0.63, 0.66),
                 n_points: int = 11,
                 n_negatives: int = 5,
                 pointwise: bool = True,
                 floor: Optional[float] = 0.,
                 ceiling: Optional[float] = None,
                 **kwargs) -> None:
        super().__init__(*args, **kwargs)
        check_count('n_points', n_points)
        check_count('n_negatives', n_negatives)
        self.intra, self.inter, self.negative = Term(*intra), Term(*inter), Term(*negative)
        self.n_points, self.n_negatives = n_points, n_negatives
        self.pointwise, self.floor, self.ceiling = pointwise, floor, ceiling

    def forward(self, inputs, data_samples: list = None, mode: str = 'tensor'):
        """As of every method; RuntimeError of a training step without partners."""
        if mode == 'loss' and len(inputs) != 2:
            raise RuntimeError('STEGO compares images with partners, and there are none: train on a '
                               'mmseg_unsup.PartnerDataset with default_hooks.neighbours=dict(type='
                               "'mmseg_unsup.ImageNeighbourHook')")
        return super().forward(inputs, data_samples, mode)

    def loss(self, inputs: List[Tensor], data_samples: list) -> Dict[str, Tensor]:
        """``loss_intra``, ``loss_inter``, ``loss_negative`` and ``loss_cluster``, weighted.

        Args:
            inputs: the images and their partners; while these are not known, as when the time of a step is measured,
                images are their own.
        """
        own, partner = (self._code(images) for images in (inputs[0], inputs[-1]))
        losses = self.correspondence_losses(own, partner, self._draw(own.feats))
        return dict(losses, loss_cluster=self.cluster_loss(own.codes))

    def correspondence_losses(self, own: Coded, partner: Coded, draw: Draw) -> Dict[str, Tensor]:
        """``loss_intra``, ``loss_inter`` and ``loss_negative`` of a batch, weighted."""
        sampled = own.at(draw.points)
        negatives = [self._term(sampled, own.of(others).at(draw.other_points), self.negative) for others in draw.others]
        return dict(
            loss_intra=self._term(sampled, sampled, self.intra),
            loss_inter=self._term(sampled, partner.at(draw.other_points), self.inter),
            loss_negative=sum(negatives) / len(negatives))

    def _term(self, first: Coded, second: Coded, term: Term) -> Tensor:
        of_features = correlations(first.feats, second.feats)
        of_features = centred(of_features) if self.pointwise else of_features
        of_codes = correlations(first.codes, second.codes)
        return term.weight * correspondence_loss(of_features, of_codes, term.shift, self.floor, self.ceiling)

    def _code(self, images: Tensor) -> Coded:
        maps = self.backbone(images)
        # the features, too, are compared without the channels that a dropout takes: released code
        return Coded(self.neck.dropout(maps[self.neck.in_index]), self.neck(maps)[self.decode_head.in_index])

    def _draw(self, feats: Tensor) -> Draw:
        n_images, device = len(feats), feats.device
        points = [random_points(n_images, self.n_points, device) for _ in range(2)]
        return Draw(*points, [other_images(n_images).to(device) for _ in range(self.n_negatives)])
