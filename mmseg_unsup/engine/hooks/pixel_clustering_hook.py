"""Clusters the pixels of the training set before an epoch."""
from typing import List, Optional, Sequence, Tuple, Union

import torch
from mmengine.runner import EpochBasedTrainLoop

from ...clustering import MiniBatchKMeans, StreamingKMeans, StreamSettings, cluster_weights
from ...clustering.weights import MODES
from ...registry import HOOKS
from ...utils.checks import check_count
from ...utils.random import keyed_generator
from ..feature_pass import check_not_collapsed, check_view_loader, unwrap
from ..fitting import FeatureBatch
from ..forecast import progress_of
from .fit_hook import EPOCH, FitHook, Reading

# Stream of the keyed generator that draws classifiers anew, apart from those of k-means.
_RESTART = 3
BN_MODES = ('eval', 'train')
# A cluster with a smaller share of the pixels is counted as tiny in the log.
TINY_SHARE = 1e-3
# More change neither labels nor scores (configs/picie/README.md).
CELLS_PER_CLUSTER = 2048


@HOOKS.register_module()
class PixelClusteringHook(StreamSettings, FitHook):
    """One pass over the training loader: k-means per level and view, then new prototypes and class weights.

    The pass sees the views that the following epoch trains on. It reads no labels and writes no files.

    Args:
        kmeans, init_images, update_images, init_pixels: see :class:`mmseg_unsup.clustering.StreamSettings`;
            ``n_clusters`` is the head's.
        max_images: images, or as a float the share of them, that each clustering uses, another random part every
            epoch; None for all; ``'auto'`` for as many as give ``CELLS_PER_CLUSTER`` to each of the largest set.
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

    moment, phase = EPOCH, 'cluster'
    # before IterTimerHook (NORMAL), which would book the clustering as time spent on data
    priority = 'ABOVE_NORMAL'

    def __init__(self,
                 max_images: Union[int, float, str, None] = 'auto',
                 class_weights: Optional[str] = 'inverse',
                 bn_mode: str = 'eval',
                 interval: int = 1,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        for name, value, allowed in (('class_weights', class_weights, MODES), ('bn_mode', bn_mode, BN_MODES)):
            if value not in allowed:
                raise ValueError(f'{name}={value!r} is not one of {allowed}')
        check_count('interval', interval)
        self.max_images = max_images
        self.class_weights, self.bn_mode, self.interval = class_weights, bn_mode, interval
        self.n_empty = 0

    def before_train(self, runner) -> None:
        """Fail now rather than after hours."""
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise TypeError(f'{type(runner.train_loop).__name__} would cluster once and never again: use '
                            'train_cfg=dict(type="mmseg_unsup.ResumableTrainLoop", max_epochs=...)')
        check_view_loader(runner.train_dataloader, 'clustering')
        model = unwrap(runner.model)
        if getattr(model, 'target_generator', None) is None:
            raise TypeError(f'{type(model).__name__} does not train on prototypes of a clustering: set '
                            'default_hooks.clustering=None')
        if self.bn_mode == 'train' and model.target_generator.predicts:
            raise ValueError("bn_mode='train' needs model.target_generator.epochs=None: averaged weights are clustered "
                             'with their averaged batch statistics')
        self.count_images(model, runner.train_dataloader)

    def needed_cells(self, model: torch.nn.Module) -> int:
        return CELLS_PER_CLUSTER * max(prototypes.n_clusters for level in model.levels for prototypes in level.sets)

    def is_due(self, runner, event: str) -> bool:
        """Whether it is time, and a checkpoint of this epoch has not brought the result."""
        return super().is_due(runner, event) and (
            runner.epoch % self.interval == 0 and _completed(runner).get('clustering') != runner.epoch)

    def times(self, runner) -> Sequence[int]:
        return [epoch for epoch in range(*progress_of(runner)) if epoch % self.interval == 0]

    def assigned_rows(self, runner, n_images: int, n_cells: int) -> list:
        models = [kmeans for of_level in self._models(unwrap(runner.model)) for kmeans in of_level]
        return self.assigned_by(models, n_images, n_cells)

    def reading(self, runner, labelled: bool = False) -> Reading:
        """The views of the epoch, so that its labels are those of the clustering."""
        return Reading(runner.train_dataloader, (runner.seed, runner.epoch), self.bn_mode == 'train')

    def prepare(self, runner) -> None:
        self.name = f'clustering epoch {runner.epoch + 1}'

    def begin(self, model: torch.nn.Module, n_images: int, key: Tuple[int, ...], device: torch.device) -> None:
        self._by_level = self._models(model)
        self._stream = StreamingKMeans(list(zip(*self._by_level)), n_images, seed=key, device=device, **self.stream)

    def add(self, batch: FeatureBatch) -> None:
        feats, n_views = batch.view_feats, len(self._by_level[0])
        if len(feats) != n_views:
            raise ValueError(f'the pipeline makes {len(feats)} view{"s"[:len(feats) > 1]} of an image, but the method '
                             f'labels {n_views}: set num_views={n_views} of mmseg_unsup.MakeViews in '
                             'train_dataloader.dataset.pipeline')
        self._stream.add(batch.positions, feats)
        self._stream.advance(batch.end)

    def finish(self) -> None:
        self._stream.finish()
        for kmeans in self._by_level[0]:
            check_not_collapsed(kmeans.cluster_centers_, self.name)

    def use(self, runner, model: torch.nn.Module) -> None:
        by_level = self._by_level
        self.n_empty = sum(int((kmeans.counts_ == 0).sum()) for by_view in by_level for kmeans in by_view)
        for level, by_view in zip(model.levels, by_level):
            counts = torch.stack([kmeans.counts_ for kmeans in by_view])
            for prototypes, kmeans, weights in zip(level.sets, by_view, cluster_weights(counts, self.class_weights)):
                prototypes.fit(kmeans.cluster_centers_, weights)
            self._log_clusters(runner, by_view)
        for v, kmeans in enumerate(by_level[0]):
            # not "loss": mmengine would show the mean over the last epochs
            runner.message_hub.update_scalar(f'train/kmeans_inertia_view{v + 1}', kmeans.inertia_)
        seed = int(keyed_generator(runner.seed, runner.epoch, _RESTART).integers(2**62))
        for param in model.restart(torch.Generator().manual_seed(seed)):
            runner.optim_wrapper.optimizer.state.pop(param, None)  # moments of the old classifier mean nothing
        if not model.target_generator.predicts:
            model.target_generator.copy(model)
        _completed(runner)['clustering'] = runner.epoch

    def _models(self, model: torch.nn.Module) -> List[List[MiniBatchKMeans]]:
        """Per level and view."""
        return [[MiniBatchKMeans(prototypes.n_clusters, **self.kmeans) for prototypes in level.sets]
                for level in model.levels]

    def _log_clusters(self, runner, by_view: List[MiniBatchKMeans]) -> None:
        for v, kmeans in enumerate(by_view):
            shares = kmeans.counts_ / kmeans.counts_.sum()
            listing = ' '.join(f'{100 * share:.1f}' for share in shares.sort(descending=True).values[:12].tolist())
            more = ' ...' if len(shares) > 12 else ''
            runner.logger.info(
                f'{self.name} view {v + 1}: k-means loss {kmeans.inertia_:.4f}, '
                f'{int((shares == 0).sum())} empty and {int((shares < TINY_SHARE).sum())} tiny (< '
                f'{100 * TINY_SHARE:g} %) of {len(shares)} clusters, {kmeans.n_splits_} re-seeded, '
                f'sizes in %: {listing}{more}')


def _completed(runner) -> dict:
    """Passes -> the last epoch in which they were completed; a loop of mmengine keeps none."""
    return getattr(runner.train_loop, 'completed', {})
