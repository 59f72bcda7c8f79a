"""Lateral convolutions that start as principal components of the backbone's features."""
from typing import List, Sequence, Tuple, Union

import torch

from ...clustering.pca import StreamingPCA
from ...clustering.seeding import sample_cells
from ...registry import HOOKS
from ...utils.checks import check_count
from ..feature_pass import unwrap
from ..fitting import FeatureBatch
from .fit_hook import START, FitHook


@HOOKS.register_module()
class PCAInitHook(FitHook):
    """Sets the laterals of a ``LateralSumNeck(init='pca')`` once, before training, without labels; leaves other necks
    alone, and what comes from a checkpoint.

    Random laterals mix the levels of a trained backbone by chance: the first clusters, which the training then
    sharpens, depend on the seed more than on the images. Here the output of the neck is the projection of the
    hypercolumn on its leading principal components over the training images, after every level was centred and scaled
    to the same mean squared norm, times the neck's ``level_weights``. Reads the images by the ``probe_dataloader`` of
    the config.

    Args:
        n_pixels: feature cells to estimate the components from, spread over the images; fewer than one per image
            takes one.
        max_images: images, or as a float the share of them, to take them from; None for all; ``'auto'`` for as many as
            have twice the cells.
    """

    moment, name = START, 'PCA of the backbone features'
    priority = 'NORMAL'

    def __init__(self, n_pixels: int = 200_000, max_images: Union[int, float, str, None] = 'auto') -> None:
        check_count('n_pixels', n_pixels)
        self.n_pixels, self.max_images = n_pixels, max_images

    def needed_cells(self, model: torch.nn.Module) -> int:
        return 2 * self.n_pixels

    def is_due(self, runner, event: str) -> bool:
        neck = getattr(unwrap(runner.model), 'neck', None)
        takes_it = hasattr(neck, 'set_projection') and neck.init == 'pca' and not hasattr(neck, 'initialization')
        # asked to resume, a run without a checkpoint starts anew: what counts is whether one was loaded
        return super().is_due(runner, event) and takes_it and not runner._has_loaded

    def times(self, runner) -> Sequence[int]:
        return [0] * self.is_due(runner, 'before_train')

    def begin(self, model: torch.nn.Module, n_images: int, key: Tuple[int, ...], device: torch.device) -> None:
        self._neck, self._pca = model.neck, StreamingPCA(sum(model.neck.in_channels), device)
        self._key, self._n_keep = key, self.n_pixels // n_images

    def add(self, batch: FeatureBatch) -> None:
        columns = batch.select(batch.made('hypercolumns', _hypercolumns))
        cells = columns.permute(0, 2, 3, 1).flatten(1, 2).float()  # (N, h*w, sum of C_l)
        if len(cells):
            keys = [(*self._key, position) for position in batch.positions]
            self._pca.add(sample_cells(cells, self._n_keep, keys).flatten(0, 1))

    def finish(self) -> None:
        neck, like = self._neck, next(self._neck.parameters())
        weight, bias = self._pca.projection(neck.out_channels, neck.in_channels, neck.level_weights)
        self._projection = weight.to(like), bias.to(like)

    def use(self, runner, model: torch.nn.Module) -> None:
        model.neck.set_projection(*self._projection)
        runner.logger.info(f'init: laterals from {model.neck.out_channels} principal components, which hold '
                           f'{100 * self._pca.explained_:.1f} % of the variance')


def _hypercolumns(model: torch.nn.Module, views: List[torch.Tensor], _: list) -> torch.Tensor:
    with model.no_grad_precision():
        return model.neck.hypercolumn(model.backbone(views[0]))
