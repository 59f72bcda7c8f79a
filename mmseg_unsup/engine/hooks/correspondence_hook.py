"""Which correlations draw codes together: constants of STEGO from the training images, without labels."""
from typing import List, Sequence, Tuple

import numpy as np
import torch
from mmengine.dist import all_reduce
from torch import Tensor

from ...models.losses.correspondence_loss import centred, correlations, sample_points
from ...models.losses.correspondence_terms import Histogram, terms_of
from ...models.segmentors.stego import PARTNERS_REMEDY
from ...registry import HOOKS
from ...utils.devices import to_device
from ...utils.random import keyed_generator
from ..feature_pass import unwrap
from ..fitting import FeatureBatch, backbone_map
from ..forecast import progress_of
from .fit_hook import START, FitHook, Reading

_POINTS = 7  # stream of the keyed generator
_BLOCK = 16  # images whose correlations are calculated at a time


@HOOKS.register_module()
class CorrespondenceHook(FitHook):
    """Sets weights and shifts of a :class:`mmseg_unsup.STEGO` that has none, once, before the training.

    It looks at the correlations of frozen features between points of an image and itself, its partner, and another
    image, as the loss draws and centres them, of the first images of the training; see
    :func:`mmseg_unsup.models.losses.correspondence_terms.terms_of` for the rule. No label is read. The constants are in
    the checkpoint: a run that is resumed, or starts from one, keeps them.

    Args:
        max_images: images, or as a float the share of them, whose points are compared.

    Raises:
        ValueError: images have no partners; all correlations are alike.
    """

    moment, name, phase = START, 'correlations of the features', 'correlations'
    priority = 'NORMAL'
    reads_clusters = True  # the partners, which another pass finds

    def __init__(self, max_images: int = 192) -> None:
        self.max_images = max_images

    def reading(self, runner, labelled: bool = False) -> Reading:
        return Reading(runner.train_dataloader, (runner.seed, 0))

    def times(self, runner) -> Sequence[int]:
        return [progress_of(runner)[0]] * self._is_wanted(unwrap(runner.model))

    def is_due(self, runner, event: str) -> bool:
        return super().is_due(runner, event) and self._is_wanted(unwrap(runner.model))

    @staticmethod
    def _is_wanted(model: torch.nn.Module) -> bool:
        return getattr(model, 'finds_terms', False) and not model.has_terms

    def prepare(self, runner) -> None:
        if not getattr(runner.train_dataloader.dataset, 'knows_neighbours', False):
            raise ValueError('the correlations of images with their partners are wanted, and there are no partners: '
                             f'{PARTNERS_REMEDY}')

    def begin(self, model: torch.nn.Module, n_images: int, key: Tuple[int, ...], device: torch.device) -> None:
        self._model, self._n_images, self._key = model, n_images, key
        self._own = self._partners = torch.zeros(0)

    def add(self, batch: FeatureBatch) -> None:
        own, partners = batch.made('pairs', self._at_points_of(batch))
        if not len(self._own):
            self._own, self._partners = (own.new_zeros(self._n_images, *own.shape[1:]) for _ in range(2))
        rows = to_device(torch.tensor(batch.positions, dtype=torch.long), own.device)
        self._own[rows], self._partners[rows] = batch.select(own), batch.select(partners)

    def _at_points_of(self, batch: FeatureBatch):
        """What makes the features of images and partners, (N, C, S, S) each, at points that depend on the place of an
        image in the order alone."""
        def make(model: torch.nn.Module, views: List[Tensor], samples: list) -> Tuple[Tensor, Tensor]:
            side = model.n_points
            drawn = [keyed_generator(*self._key, place, _POINTS).random((2, side, side, 2), 'float32')
                     for place in batch.places]
            points = to_device(2 * torch.from_numpy(np.stack(drawn)) - 1, views[0].device)
            maps = (backbone_map(model, images, model.neck.in_index).float() for images in (views[0], views[-1]))
            return tuple(sample_points(feats, points[:, i]) for i, feats in enumerate(maps))
        return make

    def finish(self) -> None:
        for feats in (self._own, self._partners):
            all_reduce(feats)  # every row has one rank that holds it
        kept = self._own.flatten(1).any(1)  # images that could be read
        own, partners = self._own[kept], self._partners[kept]
        kinds = dict(intra=own, inter=partners, negative=partners.roll(1, 0))
        found = {kind: self._histogram(own, others) for kind, others in kinds.items()}
        self.terms = terms_of(**found, n_clusters=self._model.decode_head.n_clusters)
        self._shares = {kind: found[kind].share_above(term.shift) for kind, term in self.terms.items()}
        self._own = self._partners = torch.zeros(0)

    def _histogram(self, own: Tensor, others: Tensor) -> Histogram:
        histogram = Histogram()
        for first, second in zip(own.split(_BLOCK), others.split(_BLOCK)):
            of_features = correlations(first, second)
            histogram.add(centred(of_features) if self._model.pointwise else of_features)
        return histogram

    def use(self, runner, model: torch.nn.Module) -> None:
        model.set_terms(**self.terms)
        told = ', '.join(f'{kind} weight {term.weight:.3f} shift {term.shift:.3f} ({100 * self._shares[kind]:.0f} % '
                         'above)' for kind, term in self.terms.items())
        runner.logger.info(f'{self.name}: {told}')
