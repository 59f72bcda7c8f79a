"""Clusters the pixels of the training set before an epoch."""
from contextlib import contextmanager
from typing import List, Optional, Union

import torch
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop

from ...clustering import MiniBatchKMeans, StreamingKMeans, cluster_weights
from ...clustering.streaming import assigned_rows, check_stream
from ...clustering.weights import MODES
from ...registry import HOOKS
from ...utils.checks import check_count
from ...utils.random import keyed_generator
from ..feature_pass import check_not_collapsed, check_view_loader, iterate_features, limit_images, unwrap
from ..forecast import Pass, progress_of
from ..preemption import Preempted
from .phase_timer_hook import time_phase

# Stream of the keyed generator that draws classifiers anew, apart from those of k-means.
_RESTART = 3
BN_MODES = ('eval', 'train')
# A cluster with a smaller share of the pixels is counted as tiny in the log.
TINY_SHARE = 1e-3


@HOOKS.register_module()
class PixelClusteringHook(Hook):
    """One pass over the training loader: k-means per head and view, then new prototypes and class weights.

    The pass sees the views that the following epoch trains on. It reads no labels and writes no files.

    Args:
        kmeans: arguments of :class:`mmseg_unsup.clustering.MiniBatchKMeans` besides ``n_clusters``, which is the
            head's.
        init_images: images of the initial Lloyd iterations.
        update_images: images per update of the running means after that.
        init_pixels: feature cells, over all images and ranks, in the Lloyd iterations; None for all. Memory of the
            clustering is ``num_views x init_pixels x C x 4`` bytes.
        max_images: images, or as a float the share of them, that each clustering uses, another random part every
            epoch; None for all.
        class_weights: ``'inverse'``, ``'frequency'`` or None, see :func:`mmseg_unsup.clustering.cluster_weights`.
        bn_mode: batch norm during the pass. ``'eval'`` uses running statistics; ``'train'`` batch statistics and
            updates the running ones, as the last released code does (commons.py:67).
        interval: epochs between two clusterings.

    Attributes:
        n_empty (int): clusters of the last clustering without a pixel, of all heads and views.

    Raises:
        TypeError: the training loop or loader is of the wrong kind; before the run.
        ValueError: bad option; fewer feature cells than clusters.
    """

    # before IterTimerHook (NORMAL), which would book the clustering as time spent on data
    priority = 'ABOVE_NORMAL'

    def __init__(self,
                 kmeans: Optional[dict] = None,
                 init_images: int = 5120,
                 update_images: int = 256,
                 init_pixels: Optional[int] = 200_000,
                 max_images: Optional[Union[int, float]] = None,
                 class_weights: Optional[str] = 'inverse',
                 bn_mode: str = 'eval',
                 interval: int = 1) -> None:
        for name, value, allowed in (('class_weights', class_weights, MODES), ('bn_mode', bn_mode, BN_MODES)):
            if value not in allowed:
                raise ValueError(f'{name}={value!r} is not one of {allowed}')
        check_count('interval', interval)
        check_stream(init_images, update_images, init_pixels)  # now, not after the evaluation before the training
        self.kmeans = kmeans or {}
        self.init_images, self.update_images, self.init_pixels = init_images, update_images, init_pixels
        self.max_images = max_images
        self.class_weights, self.bn_mode, self.interval = class_weights, bn_mode, interval
        self.n_empty = 0

    def passes(self, runner) -> List[Pass]:
        """One at every clustering, see :class:`Pass`."""
        model = unwrap(runner.model)
        n_images = limit_images(runner.train_dataloader, self.max_images)
        models = [MiniBatchKMeans(prototypes.n_clusters, **self.kmeans)
                  for level in model.levels for prototypes in level.sets]
        at = [epoch for epoch in range(*progress_of(runner)) if epoch % self.interval == 0]
        return [Pass(runner.train_dataloader, n_images, at,
                     fits=lambda n_cells: assigned_rows(models, n_images, n_cells, self.init_images, self.init_pixels))]

    def before_train(self, runner) -> None:
        """Fail now rather than after hours."""
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise TypeError(f'{type(runner.train_loop).__name__} would cluster once and never again: use '
                            'train_cfg=dict(type="mmseg_unsup.ResumableTrainLoop", max_epochs=...)')
        check_view_loader(runner.train_dataloader, 'clustering')
        limit_images(runner.train_dataloader, self.max_images)
        if self.bn_mode == 'train' and unwrap(runner.model).target_generator.predicts:
            raise ValueError("bn_mode='train' needs model.target_generator.epochs=None: averaged weights are clustered with "
                             'their averaged batch statistics')

    def before_train_epoch(self, runner) -> None:
        """Cluster if it is time, and a checkpoint of this epoch has not brought the result."""
        done = getattr(runner.train_loop, 'done', {})
        if runner.epoch % self.interval == 0 and done.get('clustering') != runner.epoch:
            with time_phase('cluster'), _undone_if_preempted(unwrap(runner.model)):
                self._cluster(runner)
            done['clustering'] = runner.epoch

    def _cluster(self, runner) -> None:
        model = unwrap(runner.model)
        model.train(self.bn_mode == 'train')
        by_head = self._fit(runner, model)
        self.n_empty = sum(int((kmeans.counts_ == 0).sum()) for by_view in by_head for kmeans in by_view)
        for level, by_view in zip(model.levels, by_head):
            counts = torch.stack([kmeans.counts_ for kmeans in by_view])
            for prototypes, kmeans, weights in zip(level.sets, by_view, cluster_weights(counts, self.class_weights)):
                prototypes.fit(kmeans.cluster_centers_, weights)
            self._log_clusters(runner, by_view)
        for v, kmeans in enumerate(by_head[0]):
            # not "loss": mmengine would show the mean over the last epochs
            runner.message_hub.update_scalar(f'train/kmeans_inertia_view{v + 1}', kmeans.inertia_)
        seed = int(keyed_generator(runner.seed, runner.epoch, _RESTART).integers(2**62))
        for param in model.restart(torch.Generator().manual_seed(seed)):
            runner.optim_wrapper.optimizer.state.pop(param, None)  # moments of the old classifier mean nothing
        if not model.target_generator.predicts:
            model.target_generator.copy(model)

    def _fit(self, runner, model) -> List[List[MiniBatchKMeans]]:
        """Per head and view, the k-means of a pass over the training loader."""
        dataloader, teacher = runner.train_dataloader, model.target_generator
        n_images = limit_images(dataloader, self.max_images)
        by_head = [[MiniBatchKMeans(prototypes.n_clusters, **self.kmeans) for prototypes in level.sets]
                   for level in model.levels]
        stream = StreamingKMeans(
            list(zip(*by_head)),
            n_images=n_images,
            init_images=self.init_images,
            update_images=self.update_images,
            init_pixels=self.init_pixels,
            seed=(runner.seed, runner.epoch),
            device=next(model.parameters()).device)
        # in the precision of the training, so that the labels of the training are those of the clustering
        for positions, feats in iterate_features(
                model,
                dataloader,
                lambda views, samples: teacher.clustered_features(model, views, samples, apart=self.bn_mode == 'train'),
                f'clustering epoch {runner.epoch + 1}',
                n_images=n_images,
                precision=lambda: runner.optim_wrapper.optim_context(runner.model)):
            stream.add(positions, feats)
        stream.finish()
        for kmeans in by_head[0]:
            check_not_collapsed(kmeans.cluster_centers_, f'clustering epoch {runner.epoch + 1}')
        return by_head

    @staticmethod
    def _log_clusters(runner, by_view: List[MiniBatchKMeans]) -> None:
        for v, kmeans in enumerate(by_view):
            shares = kmeans.counts_ / kmeans.counts_.sum()
            listing = ' '.join(f'{100 * share:.1f}' for share in shares.sort(descending=True).values[:12].tolist())
            more = ' ...' if len(shares) > 12 else ''
            runner.logger.info(
                f'clustering epoch {runner.epoch + 1} view {v + 1}: k-means loss {kmeans.inertia_:.4f}, '
                f'{int((shares == 0).sum())} empty and {int((shares < TINY_SHARE).sum())} tiny (< '
                f'{100 * TINY_SHARE:g} %) of {len(shares)} clusters, {kmeans.n_splits_} re-seeded, '
                f'sizes in %: {listing}{more}')


@contextmanager
def _undone_if_preempted(model):
    """A pass that is stopped inside the block leaves no trace in the statistics of batch norm."""
    before = {name: buffer.clone() for name, buffer in model.named_buffers() if 'running_' in name or 'batches' in name}
    try:
        yield
    except Preempted:
        buffers = dict(model.named_buffers())
        for name, buffer in before.items():
            buffers[name].copy_(buffer)
        raise
