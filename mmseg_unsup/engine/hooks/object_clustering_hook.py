"""k-means on the objects of the training images."""
from typing import Tuple, Union

import numpy as np
import torch
from mmengine.dist import all_gather_object, broadcast

from ...evaluation.functional import fit_descriptor_kmeans
from ...registry import HOOKS
from ...utils.checks import check_count
from ...utils.console import warn_once
from ..fitting import FeatureBatch
from .fit_hook import FitHook

IMAGES_PER_CLUSTER = 512


@HOOKS.register_module()
class ObjectClusteringHook(FitHook):
    """Gives :class:`mmseg_unsup.MaskContrast` clusters of objects, see :class:`FitHook`, from the images of
    ``probe_dataloader``: it then predicts 0 outside objects and 1 to K inside.

    :class:`mmseg_unsup.ObjectKMeansMetric` clusters the evaluated images instead, as published.

    Args:
        n_clusters: K, without the background.
        whiten, seed: see :func:`mmseg_unsup.evaluation.functional.fit_descriptor_kmeans`.
        max_images: images, or as a float the share of them, to cluster; None for all; ``'auto'`` for as many as
            ``IMAGES_PER_CLUSTER`` for each.
        refit_on_test: see :class:`FitHook`.
    """

    name = phase = 'object clustering'
    in_checkpoint = True

    def __init__(self,
                 n_clusters: int,
                 whiten: bool = True,
                 seed: int = 1234,
                 max_images: Union[int, float, str, None] = 'auto',
                 refit_on_test: bool = False) -> None:
        check_count('n_clusters', n_clusters)
        self.n_clusters, self.whiten, self.seed = n_clusters, whiten, seed
        self.max_images, self.refit_on_test = max_images, refit_on_test

    def needed_images(self, *args) -> int:
        return IMAGES_PER_CLUSTER * self.n_clusters

    def forget(self, model: torch.nn.Module) -> None:
        model.clusters['objects'].fit(None)

    def is_fitted(self, model: torch.nn.Module) -> bool:
        n_channels = model.probe_channels[model.test_cfg.descriptor]  # the clusters may be of other descriptors
        return model.clusters['objects'].weight.shape == (self.n_clusters, n_channels)

    def begin(self, model: torch.nn.Module, n_images: int, key: Tuple[int, ...], device: torch.device) -> None:
        self._found, self._device = [], device

    def add(self, batch: FeatureBatch) -> None:
        self._found += [(position, of_image.cpu().numpy())
                        for position, of_image in zip(batch.positions, batch.descriptors)]

    def finish(self) -> None:
        everywhere = [entry for of_rank in all_gather_object(self._found) for entry in of_rank]
        descriptors = np.concatenate([of_image for _, of_image in sorted(everywhere, key=lambda entry: entry[0])])
        self._n_objects, self._found, self._clusters = len(descriptors), [], (None, None)
        if self._n_objects < self.n_clusters:  # a run of hours must not end here
            warn_once(
                f'{self._n_objects} objects in the training images cannot form {self.n_clusters} clusters'
                f'{", each is one" if self._n_objects else ""}: lower model.decode_head.saliency_threshold, or train '
                'longer', about='too few objects')
        if self._n_objects:
            values = fit_descriptor_kmeans(descriptors, self.n_clusters, self.seed, self.whiten)
            self._clusters = [torch.from_numpy(value).float().to(self._device) for value in values]
            for tensor in self._clusters:
                broadcast(tensor)  # machines may round differently

    def use(self, runner, model: torch.nn.Module) -> None:
        model.clusters['objects'].fit(*self._clusters)
        if self._n_objects:
            runner.logger.info(f'{self.name}: {self._n_objects} objects, {self.n_clusters} clusters')
