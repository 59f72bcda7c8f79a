"""k-means on the objects of the training images."""
from typing import List, Optional, Union

import torch

from ...registry import HOOKS
from ...utils.checks import check_count
from ..fitting import ObjectFit
from .fresh_kmeans_hook import FreshFitHook


@HOOKS.register_module()
class ObjectClusteringHook(FreshFitHook):
    """Gives :class:`mmseg_unsup.MaskContrast` clusters of objects, see :class:`FreshFitHook`, from the images of
    ``probe_dataloader``: it then predicts 0 outside objects and 1 to K inside.

    :class:`mmseg_unsup.ObjectKMeansMetric` clusters the evaluated images instead, as published.

    Args:
        n_clusters: K, without the background.
        whiten, seed: see :func:`mmseg_unsup.evaluation.functional.fit_descriptor_kmeans`.
        max_images: images, or as a float the share of them, to cluster; None for all.
        refit_on_test: see :class:`FreshFitHook`.

    Raises:
        ValueError: bad option.
    """

    phase = 'object clustering'

    def __init__(self,
                 n_clusters: int,
                 whiten: bool = True,
                 seed: int = 1234,
                 max_images: Optional[Union[int, float]] = None,
                 refit_on_test: bool = False) -> None:
        super().__init__(refit_on_test)
        check_count('n_clusters', n_clusters)
        self.n_clusters, self.whiten, self.seed, self.max_images = n_clusters, whiten, seed, max_images

    def forget(self, model: torch.nn.Module) -> None:
        model.clusters['objects'].fit(None)

    def is_fitted(self, model: torch.nn.Module) -> bool:
        n_channels = model.probe_channels[model.test_cfg.descriptor]  # the clusters may be of other descriptors
        return model.clusters['objects'].weight.shape == (self.n_clusters, n_channels)

    def fits(self, runner) -> List[ObjectFit]:
        return [ObjectFit(self.phase, self.n_clusters, self.seed, self.whiten, self.max_images)]

    def use(self, runner, model: torch.nn.Module, fits: List[ObjectFit]) -> None:
        fit, = fits
        model.clusters['objects'].fit(fit.weight, fit.bias)
        if fit.n_objects:
            runner.logger.info(f'{self.phase}: {fit.n_objects} objects, {self.n_clusters} clusters')
