"""Lateral convolutions that start as principal components of the backbone's features."""
from typing import List, Sequence, Tuple, Union

import torch

from ...clustering.pca import StreamingPCA
from ...clustering.seeding import sample_cells
from ...functional.position import (NOISE_STDS, cells_in_windows, complement, consistent_part, has_windows,
                                    noise_images, positional_directions, window_step)
from ...models.necks.lateral_sum_neck import CONSISTENT
from ...registry import HOOKS
from ...utils.checks import check_count
from ..feature_pass import unwrap
from ..fitting import FeatureBatch
from .fit_hook import START, FitHook

# Images that are seen in several windows, and cells over all of them that are compared.
WINDOW_IMAGES, WINDOW_CELLS = 128, 8192


@HOOKS.register_module()
class PCAInitHook(FitHook):
    """Sets the laterals of a ``LateralSumNeck(init='pca')`` once, before training, without labels; leaves other necks
    alone, and what comes from a checkpoint.

    Random laterals mix the levels of a trained backbone by chance: the first clusters, which the training then
    sharpens, depend on the seed more than on the images. Here the output of the neck is the projection of the
    hypercolumn on its leading principal components over the training images, after every level was centred and scaled
    to the same mean squared norm, times the neck's ``level_weights``. Reads the images by the ``probe_dataloader`` of
    the config.

    The neck's ``position`` says what is done about the place in the image that features tell, which clusters otherwise
    follow as bands and rings. Both change the projection only, so training, checkpoints and exports know nothing of it:

    * ``'consistent'``: the same places of up to 128 images are seen in four windows
      (:func:`mmseg_unsup.functional.position.shifted_windows`), and every direction of the projection fades by the
      share of its variance that depends on the window (:func:`~mmseg_unsup.functional.position.consistent_part`).
      Images that are too small for windows leave the projection as it is, and the log says so.
    * a number: so many directions of features of noise (:func:`~mmseg_unsup.functional.position.positional_directions`)
      are taken out.

    Args:
        n_pixels: feature cells to estimate the components from, spread over the images; fewer than one per image
            takes one.
        max_images: images, or as a float the share of them, to take them from; None for all; ``'auto'`` for as many as
            have twice the cells.
    """

    moment, name = START, 'PCA of the backbone features'
    priority = 'NORMAL'
    _told = ''  # of the neck's position

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

    def needs_pixels(self, model: torch.nn.Module) -> bool:
        return model.neck.position == CONSISTENT  # windows of them

    def times(self, runner) -> Sequence[int]:
        return [0] * self.is_due(runner, 'before_train')

    def begin(self, model: torch.nn.Module, n_images: int, key: Tuple[int, ...], device: torch.device) -> None:
        self._model, self._neck, n_channels = model, model.neck, sum(model.neck.in_channels)
        self._pca = StreamingPCA(n_channels, device)
        if model.neck.position == CONSISTENT:
            self._within, self._total = StreamingPCA(n_channels, device), StreamingPCA(n_channels, device)
        self._key, self._n_keep = key, self.n_pixels // n_images
        self._n_compared = WINDOW_CELLS // min(n_images, WINDOW_IMAGES)
        self._image_size: Sequence[int] = ()

    def add(self, batch: FeatureBatch) -> None:
        columns = batch.select(batch.made('hypercolumns', _hypercolumns))
        self._image_size = batch.made('image_size', lambda model, views, samples: tuple(views[0].shape[-2:]))
        cells = columns.permute(0, 2, 3, 1).flatten(1, 2).float()  # (N, h*w, sum of C_l)
        if len(cells):
            keys = [(*self._key, position) for position in batch.positions]
            self._pca.add(sample_cells(cells, self._n_keep, keys).flatten(0, 1))
        if self._neck.position == CONSISTENT and batch.start < WINDOW_IMAGES and self._has_windows():
            self._compare(batch.before(WINDOW_IMAGES))

    def _has_windows(self) -> bool:
        return has_windows(*self._image_size, window_step(self._model.backbone))

    def _compare(self, batch: FeatureBatch) -> None:
        """Take the cells that the windows share."""
        maps = batch.select(batch.made('windows', _window_hypercolumns))  # (N, windows, C, h, w)
        if len(maps):
            keys = [(*self._key, position) for position in batch.positions]
            cells = maps.permute(0, 3, 4, 1, 2).flatten(1, 2).float()  # (N, cells, windows, C)
            cells = sample_cells(cells, self._n_compared, keys).flatten(0, 1)
            self._total.add(cells.flatten(0, 1))
            self._within.add((cells - cells.mean(1, keepdim=True)).flatten(0, 1))

    def finish(self) -> None:
        neck, like = self._neck, next(self._neck.parameters())
        weight, bias = self._pca.projection(neck.out_channels, neck.in_channels, neck.level_weights)
        if neck.position == CONSISTENT and not self._total.n_rows():  # the same on all ranks
            size = '{1}x{0}'.format(*self._image_size)
            self._told = f'; images of {size} pixels are too small to be seen in windows, so position stays in them'
        elif neck.position is not None:
            change = self._consistent(weight) if neck.position == CONSISTENT else self._without_noise(weight)
            weight, bias = change @ weight, change @ bias  # the mean of the output is 0 and stays so
        self._projection = weight.to(like), bias.to(like)

    def _consistent(self, weight: torch.Tensor) -> torch.Tensor:
        within, total = (weight @ moments.covariance()[1] @ weight.t() for moments in (self._within, self._total))
        self._told = f'; {100 * float(within.trace() / total.trace()):.1f} % of it depended on the window and fade'
        return consistent_part(within, total)

    def _without_noise(self, weight: torch.Tensor) -> torch.Tensor:
        maps = [_hypercolumns(self._model, [noise_images(*self._image_size, std).to(weight.device)], [])
                for std in NOISE_STDS]
        maps = [torch.einsum('nchw,kc->nkhw', columns.to(weight), weight) for columns in maps]
        self._told = f'; {self._neck.position} directions of noise are taken out'
        return complement(positional_directions(maps)[0][:self._neck.position])

    def use(self, runner, model: torch.nn.Module) -> None:
        model.neck.set_projection(*self._projection)
        runner.logger.info(f'init: laterals from {model.neck.out_channels} principal components, which hold '
                           f'{100 * self._pca.explained_:.1f} % of the variance{self._told}')


def _hypercolumns(model: torch.nn.Module, views: List[torch.Tensor], _: list) -> torch.Tensor:
    with model.no_grad_precision():
        return model.neck.hypercolumn(model.backbone(views[0]))


def _window_hypercolumns(model: torch.nn.Module, views: List[torch.Tensor], _: list) -> torch.Tensor:
    """(N, 3, H, W) images -> (N, windows, C, h, w), the cells that all windows of an image share."""
    return cells_in_windows(lambda crops: _hypercolumns(model, [crops], []), views[0], window_step(model.backbone))
