"""k-means on the training images as evaluation sees them: the prototypes of the published score."""
from typing import Optional, Sequence, Tuple, Union

import torch

from ...evaluation.probes import KMeansProbe
from ...models.clusters import FRESH
from ...registry import HOOKS
from ..feature_pass import check_not_collapsed, unwrap
from ..fitting import FeatureBatch
from ..forecast import evaluations, progress_of
from .fit_hook import FitHook


class FreshFitHook(FitHook):
    """Fits something to the finished features before every evaluation, and before the checkpoint of the same epoch.

    It goes into the checkpoint, so ``tools/test.py`` and inference use it without the training images. The first step
    of an epoch drops it: a checkpoint without an evaluation has none, rather than that of older weights.

    Args:
        refit_on_test: fit again in ``tools/test.py`` though the checkpoint has brought one.
    """

    in_checkpoint = True

    def __init__(self, refit_on_test: bool = False) -> None:
        self.refit_on_test = refit_on_test

    def is_fitted(self, model: torch.nn.Module) -> bool:
        """Whether the model has what this hook would fit."""
        raise NotImplementedError

    def is_due(self, runner, event: str) -> bool:
        """Also in a test whose checkpoint did not bring it."""
        return super().is_due(runner, event) and (
            event != 'before_test_epoch' or self.refit_on_test or not self.is_fitted(unwrap(runner.model)))

    def times(self, runner) -> Sequence[int]:
        """With every evaluation, and at the end."""
        start, end = progress_of(runner)
        at = evaluations(runner)
        return at + [end - 1] * (start < end and end - 1 not in at)


@HOOKS.register_module()
class FreshKMeansHook(FreshFitHook):
    """Fits the set ``fresh``, see :class:`FreshFitHook`, to the images of ``probe_dataloader``.

    Training prototypes describe augmented views; the published score uses those of a new k-means on the training
    images with the transform of evaluation.

    Args:
        n_clusters: K', usually the number of classes of the evaluation; None for as many as the head has.
        kmeans, init_images, update_images, init_pixels: see :class:`mmseg_unsup.KMeansProbe`, which is the same fit.
        max_images: images, or as a float the share of them, that are read; None for all.
        refit_on_test: see :class:`FreshFitHook`.

    Source: train_picie.py:295-339 of the released code.
    """

    name = phase = 'fresh k-means'

    def __init__(self,
                 n_clusters: Optional[int] = None,
                 kmeans: Optional[dict] = None,
                 init_images: int = 5120,
                 update_images: int = 256,
                 init_pixels: Optional[int] = 200_000,
                 max_images: Optional[Union[int, float]] = None,
                 refit_on_test: bool = False) -> None:
        super().__init__(refit_on_test)
        self.n_clusters, self.max_images = n_clusters, max_images
        self.probe = KMeansProbe(self.name, n_clusters, 1, kmeans, init_images, update_images, init_pixels)

    def _size(self, model: torch.nn.Module) -> int:
        return self.n_clusters or model.decode_head.n_clusters

    def assigned_rows(self, runner, n_images: int, n_cells: int) -> list:
        return self.probe.assigned_rows(self._size(unwrap(runner.model)), n_images, n_cells)

    def forget(self, model: torch.nn.Module) -> None:
        model.clusters[FRESH].fit(None)

    def is_fitted(self, model: torch.nn.Module) -> bool:
        return len(model.clusters[FRESH].weight) == self._size(model)

    def begin(self, model: torch.nn.Module, n_images: int, key: Tuple[int, ...], device: torch.device) -> None:
        n_channels = next(iter(model.probe_channels.values()))
        self.probe.begin(n_channels, self._size(model), n_images, key[0], device)

    def add(self, batch: FeatureBatch) -> None:
        batch.feed(self.probe)

    def finish(self) -> None:
        self.probe.finish()
        check_not_collapsed(self.probe.models[0].cluster_centers_, self.name)

    def use(self, runner, model: torch.nn.Module) -> None:
        kmeans, = self.probe.models
        model.clusters[FRESH].fit(kmeans.cluster_centers_)
        runner.logger.info(f'{self.name}: loss {kmeans.inertia_:.4f}, {kmeans.n_clusters} clusters, '
                           f'{int((kmeans.counts_ == 0).sum())} empty')
