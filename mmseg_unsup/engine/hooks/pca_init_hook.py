"""Lateral convolutions that start as principal components of the backbone's features."""
from typing import List, Sequence

import torch

from ...registry import HOOKS
from ...utils.checks import check_count
from ..feature_pass import unwrap
from ..fitting import PCAFit
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
        n_pixels: feature cells to estimate the components from, spread over all images; fewer than one per image
            takes one.
    """

    moment = START
    priority = 'NORMAL'

    def __init__(self, n_pixels: int = 200_000) -> None:
        check_count('n_pixels', n_pixels)
        self.n_pixels = n_pixels

    def is_due(self, runner, event: str) -> bool:
        neck = getattr(unwrap(runner.model), 'neck', None)
        is_asked_for = getattr(neck, 'init', None) == 'pca' and not hasattr(neck, 'initialization')
        # asked to resume, a run without a checkpoint starts anew: what counts is whether one was loaded
        return super().is_due(runner, event) and is_asked_for and not runner._has_loaded

    def times(self, runner) -> Sequence[int]:
        return [0] * self.is_due(runner, 'before_train')

    def fits(self, runner) -> List[PCAFit]:
        return [PCAFit('PCA of the backbone features', unwrap(runner.model).neck, self.n_pixels)]

    def use(self, runner, model: torch.nn.Module, fits: List[PCAFit]) -> None:
        fit, = fits
        like = next(model.neck.parameters())
        model.neck.set_projection(fit.weight.to(like), fit.bias.to(like))
        runner.logger.info(f'init: laterals from {model.neck.out_channels} principal components, which hold '
                           f'{100 * fit.explained:.1f} % of the variance')
