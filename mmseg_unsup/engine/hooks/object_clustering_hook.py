"""k-means on the objects of the training images."""
from typing import Optional, Union

import numpy as np
import torch
from mmengine.dist import all_gather_object, broadcast

from ...evaluation.functional import fit_descriptor_kmeans
from ...registry import HOOKS
from ...utils.checks import check_count
from ...utils.console import warn_once
from ..feature_pass import iterate_features, limit_images, set_view_key
from ..probe_loader import probe_dataloader
from .fresh_kmeans_hook import FreshFitHook
from .phase_timer_hook import time_phase


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

    def fit(self, runner, model: torch.nn.Module) -> None:
        with time_phase('object clustering'):
            descriptors = self._collect(runner, model)
            if len(descriptors) < self.n_clusters:  # a run of hours must not end here
                warn_once(
                    f'{len(descriptors)} objects in the training images cannot form {self.n_clusters} clusters'
                    f'{", each is one" if len(descriptors) else ""}: lower model.decode_head.saliency_threshold, or '
                    'train longer', about='too few objects')
            if not len(descriptors):
                return self.forget(model)
            weight, bias = (torch.from_numpy(values).float().to(next(model.parameters()).device) for values in
                            fit_descriptor_kmeans(descriptors, self.n_clusters, self.seed, self.whiten))
        for tensor in (weight, bias):
            broadcast(tensor)  # machines may round differently
        model.clusters['objects'].fit(weight, bias)
        runner.logger.info(f'object clustering: {len(descriptors)} objects, {self.n_clusters} clusters')

    def _collect(self, runner, model: torch.nn.Module) -> np.ndarray:
        """(S, D) descriptors of the objects of all ranks, in the order of their images.

        Collectives: one gathering of objects.
        """
        dataloader = probe_dataloader(runner)
        set_view_key(dataloader, runner.seed, 0)
        n_images = limit_images(dataloader, self.max_images)
        found = []
        for positions, (descriptors, ) in iterate_features(
                model, dataloader,
                lambda views, samples: [model.describe_objects(views[0], [sample.metainfo for sample in samples])],
                'object clustering', n_images):
            found += [(position, of_image.cpu().numpy()) for position, of_image in zip(positions, descriptors)]
        everywhere = sorted((entry for of_rank in all_gather_object(found) for entry in of_rank), key=lambda e: e[0])
        return np.concatenate([of_image for _, of_image in everywhere])
