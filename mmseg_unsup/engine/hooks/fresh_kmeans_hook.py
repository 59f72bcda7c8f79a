"""k-means on the training images as evaluation sees them: the prototypes of the published score."""
from abc import abstractmethod
from typing import List, Optional, Union

import torch
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop

from ...clustering import MiniBatchKMeans, StreamingKMeans
from ...clustering.streaming import assigned_rows, check_stream
from ...models.clusters import FRESH
from ...registry import HOOKS
from ..feature_pass import check_not_collapsed, iterate_features, limit_images, set_view_key, unwrap
from ..forecast import Pass, evaluations, progress_of
from ..probe_loader import probe_dataloader
from .phase_timer_hook import time_phase, validates_now


class FreshFitHook(Hook):
    """Fits something to the finished features before every evaluation, and before the checkpoint of the same epoch.

    It goes into the checkpoint, so ``tools/test.py`` and inference use it without the training images. The first step
    of an epoch drops it: a checkpoint without an evaluation has none, rather than that of older weights.

    Args:
        refit_on_test: fit again in ``tools/test.py`` though the checkpoint has brought one.

    Attributes:
        max_images: images, or as a float the share of them, that are read; None for all.
    """

    max_images: Optional[Union[int, float]] = None

    # after TrainProgressHook (BELOW_NORMAL, 60) closed its display; before ParamSchedulerHook (LOW, 70), whose step a
    # run that is stopped in this pass would repeat; and before the checkpoint (VERY_LOW)
    priority = 65

    def __init__(self, refit_on_test: bool = False) -> None:
        self.refit_on_test = refit_on_test
        self._fitted_at = None  # iteration

    @abstractmethod
    def forget(self, model: torch.nn.Module) -> None:
        """Drop what was fitted."""

    @abstractmethod
    def is_fitted(self, model: torch.nn.Module) -> bool:
        """Whether the model has what this hook would fit."""

    @abstractmethod
    def fit(self, runner, model: torch.nn.Module) -> None:
        """Fit; the model is in eval mode."""

    def passes(self, runner) -> List[Pass]:
        """One with every evaluation, and one at the end, see :class:`Pass`."""
        loader, (start, end) = probe_dataloader(runner), progress_of(runner)
        at = evaluations(runner)
        if start < end and end - 1 not in at:
            at.append(end - 1)
        n_images = limit_images(loader, self.max_images)
        return [Pass(loader, n_images, at, fits=lambda n_cells: self.assigned_rows(n_images, n_cells))]

    def assigned_rows(self, n_images: int, n_cells: int) -> list:
        """Work of the fit that counts beside the network's, see :func:`mmseg_unsup.clustering.streaming.assigned_rows`.
        """
        return []

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Drop what the weights are about to outgrow."""
        if batch_idx == 0:
            self.forget(unwrap(runner.model))

    def after_train_epoch(self, runner) -> None:
        """Fit for the checkpoint that follows and for the evaluation after it."""
        if validates_now(runner) or self.is_last_train_epoch(runner):
            self._fit(runner)

    def before_val_epoch(self, runner) -> None:
        """Fit if the weights moved since the last fit."""
        if self._fitted_at is None or self._fitted_at != _iteration(runner):
            self._fit(runner)

    def before_test_epoch(self, runner) -> None:
        """Fit if the checkpoint did not bring it."""
        if self.refit_on_test or not self.is_fitted(unwrap(runner.model)):
            self._fit(runner)

    def _fit(self, runner) -> None:
        model = unwrap(runner.model)
        was_training = model.training
        model.eval()
        self.fit(runner, model)
        model.train(was_training)
        self._fitted_at = _iteration(runner)


@HOOKS.register_module()
class FreshKMeansHook(FreshFitHook):
    """Fits the set ``fresh``, see :class:`FreshFitHook`, to the images of ``probe_dataloader``.

    Training prototypes describe augmented views; the published score uses those of a new k-means on the training
    images with the transform of evaluation.

    Args:
        n_clusters: K'; usually the number of classes of the evaluation.
        kmeans: further arguments of :class:`mmseg_unsup.clustering.MiniBatchKMeans`.
        init_images, update_images, init_pixels, max_images: see :class:`mmseg_unsup.PixelClusteringHook`.
        refit_on_test: see :class:`FreshFitHook`.

    Source: train_picie.py:295-339 of the released code.
    """

    def __init__(self,
                 n_clusters: int,
                 kmeans: Optional[dict] = None,
                 init_images: int = 5120,
                 update_images: int = 256,
                 init_pixels: Optional[int] = 200_000,
                 max_images: Optional[Union[int, float]] = None,
                 refit_on_test: bool = False) -> None:
        super().__init__(refit_on_test)
        self.n_clusters = n_clusters
        self.kmeans = kmeans or {}
        MiniBatchKMeans(n_clusters, **self.kmeans)  # a bad setting must fail now, not after the first epoch
        check_stream(init_images, update_images, init_pixels)
        self.init_images, self.update_images, self.init_pixels = init_images, update_images, init_pixels
        self.max_images = max_images

    def assigned_rows(self, n_images: int, n_cells: int) -> list:
        kmeans = MiniBatchKMeans(self.n_clusters, **self.kmeans)
        return assigned_rows([kmeans], n_images, n_cells, self.init_images, self.init_pixels)

    def forget(self, model: torch.nn.Module) -> None:
        model.clusters[FRESH].fit(None)

    def is_fitted(self, model: torch.nn.Module) -> bool:
        return len(model.clusters[FRESH].weight) == self.n_clusters

    def fit(self, runner, model: torch.nn.Module) -> None:
        with time_phase('fresh k-means'):
            kmeans = self._run(runner, model)
        model.clusters[FRESH].fit(kmeans.cluster_centers_)
        runner.logger.info(f'fresh k-means: loss {kmeans.inertia_:.4f}, {self.n_clusters} clusters, '
                           f'{int((kmeans.counts_ == 0).sum())} empty')

    def _run(self, runner, model: torch.nn.Module) -> MiniBatchKMeans:
        dataloader = probe_dataloader(runner)
        set_view_key(dataloader, runner.seed, 0)
        n_images = limit_images(dataloader, self.max_images)
        kmeans = MiniBatchKMeans(self.n_clusters, **self.kmeans)
        stream = StreamingKMeans(
            [[kmeans]],
            n_images=n_images,
            init_images=self.init_images,
            update_images=self.update_images,
            init_pixels=self.init_pixels,
            seed=(runner.seed, ),
            device=next(model.parameters()).device)
        for positions, feats in iterate_features(model, dataloader, model_features(model), 'fresh k-means', n_images):
            stream.add(positions, feats)
        stream.finish()
        check_not_collapsed(kmeans.cluster_centers_, 'fresh k-means')
        return kmeans


def _iteration(runner) -> Optional[int]:
    """None outside training, where asking the runner would build the training data set."""
    return runner.iter if isinstance(runner._train_loop, BaseLoop) else None


def model_features(model):
    """``(views, data_samples)`` -> [unit features of the first view], for :func:`iterate_features`."""
    return lambda views, samples: [model.forward_maps(views[0]).feats['features']]
