"""Prototypes that start as principal directions of the features, and as a k-means by gradients."""
from typing import Sequence, Tuple

import torch
from mmengine.model import BaseModule
from torch import Tensor

from ...clustering.pca import StreamingPCA
from ...clustering.seeding import sample_cells
from ...functional.principal_masks import towards
from ...models.segmentors.code_segmentor import CLUSTER
from ...registry import HOOKS
from ...utils.checks import check_count
from ..feature_pass import unwrap
from ..fitting import FeatureBatch
from .fit_hook import START, FitHook

_STARTED = 'start of the prototypes'


@HOOKS.register_module()
class PrincipalStartHook(FitHook):
    """Gives the set ``cluster`` of a :class:`mmseg_unsup.PriMaPs` the leading principal directions of the features as
    prototypes, and lets it begin with a k-means by gradients.

    Directions are exact, and point to the side of the mean feature. (The released code takes them from a randomised
    solver, and their signs are arbitrary.) Prototypes from a checkpoint stay as they are. When the k-means is over, the
    teacher is a copy of the student, and the moments of the optimiser are forgotten.

    Args:
        epochs: of the k-means; 0 for none, as where prototypes come from another method.
        n_pixels, max_images: see :class:`mmseg_unsup.PCAInitHook`.

    Raises:
        ValueError: ``epochs`` is no whole number from 0 on; there are fewer channels than clusters; a neck has neither
            been loaded nor starts as principal components.
    """

    moment, name = START, 'principal directions of the features'
    reads_clusters = True  # a neck may be set in an earlier pass

    def __init__(self, epochs: int = 2, n_pixels: int = 200_000, max_images='auto') -> None:
        check_count('epochs', epochs, low=0)
        check_count('n_pixels', n_pixels)
        self.epochs, self.n_pixels, self.max_images = epochs, n_pixels, max_images

    def needed_cells(self, model: torch.nn.Module) -> int:
        return 2 * self.n_pixels

    def is_due(self, runner, event: str) -> bool:
        return super().is_due(runner, event) and not runner._has_loaded

    def times(self, runner) -> Sequence[int]:
        return [0] * self.is_due(runner, 'before_train')

    def before_train(self, runner) -> None:
        model = unwrap(runner.model)
        check_neck(model.neck if model.with_neck else None, runner._has_loaded)
        channels, n_clusters = model.decode_head.in_channels, model.clusters[CLUSTER].n_clusters
        if n_clusters > channels:
            raise ValueError(f'features of {channels} channels have no {n_clusters} principal directions: lower '
                             f'n_clusters of model.decode_head to at most {channels}')
        super().before_train(runner)

    def before_train_epoch(self, runner) -> None:
        """Say whether the k-means goes on; end it once."""
        model, completed = unwrap(runner.model), runner.train_loop.completed
        model.is_starting = runner.epoch < self.epochs
        if not model.is_starting and _STARTED not in completed:
            clusters = model.clusters[CLUSTER]
            if self.epochs:
                clusters.restart()
            for parameter in clusters.parameters():
                runner.optim_wrapper.optimizer.state.pop(parameter, None)
            completed[_STARTED] = runner.epoch

    def begin(self, model: torch.nn.Module, n_images: int, key: Tuple[int, ...], device: torch.device) -> None:
        self._pca = StreamingPCA(model.decode_head.in_channels, device)
        self._n_directions = model.clusters[CLUSTER].n_clusters
        self._key, self._n_keep = key, max(1, self.n_pixels // n_images)

    def add(self, batch: FeatureBatch) -> None:
        cells = batch.feats('codes').permute(0, 2, 3, 1).flatten(1, 2).float()
        if len(cells):
            keys = [(*self._key, position) for position in batch.positions]
            self._pca.add(sample_cells(cells, self._n_keep, keys).flatten(0, 1))

    def finish(self) -> None:
        self._directions = principal_directions(*self._pca.covariance(), self._n_directions)

    def use(self, runner, model: torch.nn.Module) -> None:
        clusters = model.clusters[CLUSTER]
        clusters.student.point(self._directions)
        clusters.restart()
        runner.logger.info(f'init: {len(self._directions)} prototypes from {self.name}')


def principal_directions(mean: Tensor, covariance: Tensor, n: int) -> Tensor:
    """(C,) mean and (C, C) covariance -> (n, C) unit vectors along which features vary the most, the first ones most,
    each on the side of the mean."""
    return towards(torch.linalg.eigh(covariance)[1].flip(1)[:, :n].t(), mean, 1e-6)


def check_neck(neck: BaseModule, has_loaded: bool) -> None:
    """Raise ValueError if codes would be those of random weights."""
    if neck is not None and not has_loaded and getattr(neck, 'init', None) != 'pca':
        raise ValueError(f'model.neck is a {type(neck).__name__} with random weights, which PriMaPs does not train: '
                         'set load_from to a checkpoint of the method that trained it, or take a '
                         "LateralSumNeck(init='pca')")
