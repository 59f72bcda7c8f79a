"""STEGO: codes of frozen features, whose correlations within and between images are sharpened."""
from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Optional, Sequence, Union

import torch
from torch import Tensor

from ...registry import MODELS
from ...utils.checks import check_count
from ...utils.whole_batch import gather_images, mean_of_batch
from ..losses.correspondence_loss import (Term, centred, correlations, correspondence_loss, random_others,
                                          random_points, sample_points)
from .code_segmentor import CodeSegmentor

AUTO = 'auto'
PARTNERS_REMEDY = ("train on a mmseg_unsup.PartnerDataset with default_hooks.neighbours=dict(type="
                   "'mmseg_unsup.ImageNeighbourHook')")


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

    def of_all(self) -> 'Coded':
        """Those of the batch of all processes, (W N, ...), at the cost of their bytes: 23 MB for 16 images of 28 x 28
        cells, 384 channels and codes of 70. The points of five draws of other images would be 18 MB."""
        return Coded(gather_images(self.feats), gather_images(self.codes))


class Draw(NamedTuple):
    """What a step draws at random."""
    points: Tensor  # (N, S, S, 2) of the images
    other_points: Tensor  # (N, S, S, 2) of partners and of other images
    others: List[Tensor]  # (N,) numbers of other images in the batch of all processes, of every draw


@MODELS.register_module()
class STEGO(CodeSegmentor):
    """Codes of two cells come closer where their frozen features correlate by more than a shift, and part else.

    Pairs of cells are of an image and itself, of an image and a partner that looks alike
    (:class:`mmseg_unsup.PartnerDataset`), and of an image and random others. The set ``cluster`` is trained on detached
    codes.

    Args:
        intra, inter, negative: (weight, shift) of the three kinds of pairs; ``'auto'`` for all three lets
            :class:`mmseg_unsup.CorrespondenceHook` find them before the training, without labels.
        n_points: side of the grid of points that are drawn of an image.
        n_negatives: draws of other images.
        pointwise: take the mean correlation of every cell away, see
            :func:`~mmseg_unsup.models.losses.correspondence_loss.centred`.
        floor, ceiling: of the correlations of codes, see
            :func:`~mmseg_unsup.models.losses.correspondence_loss.correspondence_loss`.

    Source: STEGO (arXiv 2203.08414), section 4; ``ContrastiveCorrelationLoss`` and ``training_step`` of the released
    code, whose constants of COCO-Stuff with a ViT-S/8 are the defaults.

    Attributes:
        finds_terms (bool): weights and shifts are found from the data.
        terms (Tensor): (3, 2) weight and shift of the kinds of pairs; in the checkpoint if they are found, and zeros
            before.

    Raises:
        ValueError: a number that cannot be; only some of the constants are ``'auto'``; see :class:`CodeSegmentor`.
    """

    compares_images = True

    def __init__(self,
                 *args,
                 intra: Union[str, Sequence[float]] = (0.67, 0.08),
                 inter: Union[str, Sequence[float]] = (0.25, 0.02),
                 negative: Union[str, Sequence[float]] = (0.63, 0.66),
                 n_points: int = 11,
                 n_negatives: int = 5,
                 pointwise: bool = True,
                 floor: Optional[float] = 0.,
                 ceiling: Optional[float] = None,
                 **kwargs) -> None:
        super().__init__(*args, **kwargs)
        check_count('n_points', n_points)
        check_count('n_negatives', n_negatives)
        given = dict(intra=intra, inter=inter, negative=negative)
        found = [kind for kind, term in given.items() if term == AUTO]
        if found and len(found) < len(given):
            raise ValueError(f"model.{found[0]} is 'auto', but not all of {[*given]} are, whose weights are found "
                             "together: set all three to 'auto', or to (weight, shift)")
        self.finds_terms = bool(found)
        self.register_buffer('terms', torch.zeros(len(given), 2), persistent=self.finds_terms)
        if not found:
            self.set_terms(**{kind: Term(*term) for kind, term in given.items()})
        self.n_points, self.n_negatives = n_points, n_negatives
        self._is_checked = False  # once: a GPU would be waited for
        self.pointwise, self.floor, self.ceiling = pointwise, floor, ceiling

    def set_terms(self, intra: Term, inter: Term, negative: Term) -> None:
        """Set weight and shift of the kinds of pairs."""
        self.terms.copy_(torch.tensor([intra, inter, negative]))

    @property
    def has_terms(self) -> bool:
        return bool(self.terms.any())

    def check_ready(self) -> None:
        """Raise RuntimeError if the constants of the loss were to be found, and were not."""
        super().check_ready()
        if self.finds_terms and not self._is_checked:
            if not self.has_terms:
                raise RuntimeError("model.intra, inter and negative of STEGO are 'auto', but nothing has found them: "
                                   "add correspondence=dict(type='mmseg_unsup.CorrespondenceHook') to default_hooks, "
                                   'or set each to (weight, shift)')
            self._is_checked = True

    def forward(self, inputs, data_samples: Optional[list] = None, mode: str = 'tensor'):
        """As of every method; RuntimeError of a training step without partners."""
        if mode == 'loss' and len(inputs) != 2:
            raise RuntimeError(f'STEGO compares images with partners, and there are none: {PARTNERS_REMEDY}')
        return super().forward(inputs, data_samples, mode)

    def loss(self, inputs: List[Tensor], data_samples: list) -> Dict[str, Tensor]:
        """``loss_intra``, ``loss_inter``, ``loss_negative`` and ``loss_cluster``, weighted; one image has no other, and
        no ``loss_negative``.

        Args:
            inputs: the images and their partners; while these are not known, as when the time of a step is measured,
                images are their own.
        """
        own, partner = (self._code(images) for images in (inputs[0], inputs[-1]))
        losses = self.correspondence_losses(own, partner, self._draw(own.feats))
        return dict(losses, loss_cluster=self.cluster_loss(own.codes))

    def correspondence_losses(self, own: Coded, partner: Coded, draw: Draw) -> Dict[str, Tensor]:
        """``loss_intra``, ``loss_inter`` and ``loss_negative`` of a batch, weighted."""
        sampled, (intra, inter, negative) = own.at(draw.points), (Term(*term) for term in self.terms)
        batch = own.of_all()
        negatives = [self._term(sampled, batch.of(others).at(draw.other_points), negative) for others in draw.others]
        losses = dict(
            loss_intra=self._term(sampled, sampled, intra),
            loss_inter=self._term(sampled, partner.at(draw.other_points), inter))
        return dict(losses, loss_negative=sum(negatives) / len(negatives)) if negatives else losses

    def _term(self, first: Coded, second: Coded, term: Term) -> Tensor:
        of_features = correlations(first.feats, second.feats)
        of_features = centred(of_features, mean_of_batch(of_features)) if self.pointwise else of_features
        of_codes = correlations(first.codes, second.codes)
        return term.weight * correspondence_loss(of_features, of_codes, term.shift, self.floor, self.ceiling)

    def _code(self, images: Tensor) -> Coded:
        maps = self.backbone(images)
        # the features, too, are compared without the channels that a dropout takes: released code
        return Coded(self.neck.dropout(maps[self.neck.in_index]), self.neck(maps)[self.decode_head.in_index])

    def _draw(self, feats: Tensor) -> Draw:
        n_images, device = len(feats), feats.device
        points = [random_points(n_images, self.n_points, device) for _ in range(2)]
        return Draw(*points, random_others(n_images, self.n_negatives, device))
