"""Lateral convolutions that start as principal components of the backbone's features."""
from typing import List

import torch
from mmengine.hooks import Hook

from ...clustering.pca import StreamingPCA
from ...clustering.sampling import sample_cells
from ...registry import HOOKS
from ...utils.checks import check_count
from ..feature_pass import iterate_features, set_view_key, unwrap
from ..forecast import Pass
from ..probe_loader import probe_dataloader


@HOOKS.register_module()
class PCAInitHook(Hook):
    """Sets the laterals of a ``LateralSumNeck(init='pca')`` once, before training, without labels.

    Random laterals mix the levels of a trained backbone by chance: the first clusters, which the training then
    sharpens, depend on the seed more than on the images. Here the output of the neck is the projection of the
    hypercolumn on its leading principal components over the training images, after every level was centred and scaled
    to the same mean squared norm, times the neck's ``level_weights``. Reads the images by the ``probe_dataloader`` of
    the config.

    Args:
        n_pixels: feature cells to estimate the components from, spread over all images; fewer than one per image
            takes one.
    """

    priority = 'NORMAL'

    def __init__(self, n_pixels: int = 200_000) -> None:
        check_count('n_pixels', n_pixels)
        self.n_pixels = n_pixels

    def passes(self, runner) -> List[Pass]:
        """One before the training, see :class:`Pass`."""
        loader = probe_dataloader(runner)
        return [Pass(loader, len(loader.dataset), [0])] if self._is_due(runner) else []

    @staticmethod
    def _is_due(runner) -> bool:
        neck = unwrap(runner.model).neck
        # asked to resume, a run without a checkpoint starts anew: what counts is whether one was loaded
        return neck.init == 'pca' and not runner._has_loaded and not hasattr(neck, 'initialization')

    def before_train(self, runner) -> None:
        """Fit and set the projection, unless the neck or the whole model comes from a checkpoint."""
        if not self._is_due(runner):
            return
        model = unwrap(runner.model)
        neck = model.neck
        dataloader = probe_dataloader(runner)
        set_view_key(dataloader, runner.seed, 0)
        pca = StreamingPCA(sum(neck.in_channels), device=next(model.parameters()).device)
        model.eval()
        columns = iterate_features(model, dataloader, lambda views, _: [neck.hypercolumn(model.backbone(views[0]))],
                                   'PCA of the backbone features')
        n_keep = self.n_pixels // len(dataloader.dataset)
        for positions, (column, ) in columns:
            rows = column.permute(0, 2, 3, 1).flatten(1, 2).float()  # (N, h*w, sum of C_l)
            pca.add(torch.cat([sample_cells(r, n_keep, (runner.seed, p)) for p, r in zip(positions, rows)]))
        weight, bias = pca.projection(neck.out_channels, neck.in_channels, neck.level_weights)
        neck.set_projection(weight.to(neck.laterals[0].weight), bias.to(neck.laterals[0].weight))
        model.train()
        runner.logger.info(f'init: laterals from {neck.out_channels} principal components, which hold '
                           f'{100 * pca.explained_:.1f} % of the variance')
