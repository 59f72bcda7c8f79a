"""k-means on the training images as evaluation sees them: the prototypes of the published score."""
from typing import Optional, Tuple, Union

import torch

from ...clustering import MiniBatchKMeans, StreamingKMeans, StreamSettings
from ...models.clusters import FRESH
from ...registry import HOOKS
from ...utils.checks import check_count
from ..feature_pass import check_not_collapsed, unwrap
from ..fitting import FeatureBatch
from .fit_hook import FitHook

# Many, as it is fitted once an evaluation and gives the score.
CELLS_PER_CLUSTER = 65_536


@HOOKS.register_module()
class FreshKMeansHook(StreamSettings, FitHook):
    """Fits the set ``fresh`` to the images of ``probe_dataloader`` for every evaluation, see :class:`FitHook`.

    Training prototypes describe augmented views; the published score uses those of a new k-means on the training
    images with the transform of evaluation.

    Args:
        n_clusters: K', usually the number of classes of the evaluation; None for as many as the head has.
        kmeans, init_images, update_images, init_pixels: see :class:`mmseg_unsup.clustering.StreamSettings`.
        max_images: images, or as a float the share of them, that are read; None for all; ``'auto'`` for as many as give
            ``CELLS_PER_CLUSTER`` to each.
        refit_on_test: see :class:`FitHook`.

    Source: train_picie.py:295-339 of the released code.
    """

    name = phase = 'fresh k-means'
    in_checkpoint = True

    def __init__(self, n_clusters: Optional[int] = None, max_images: Union[int, float, str, None] = 'auto',
                 refit_on_test: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)
        if n_clusters is not None:
            check_count('n_clusters', n_clusters)
        self.n_clusters, self.max_images, self.refit_on_test = n_clusters, max_images, refit_on_test

    def _size(self, model: torch.nn.Module) -> int:
        return self.n_clusters or model.decode_head.n_clusters

    def needed_cells(self, model: torch.nn.Module) -> int:
        return CELLS_PER_CLUSTER * self._size(model)

    def assigned_rows(self, runner, n_images: int, n_cells: int) -> list:
        return self.assigned_by([MiniBatchKMeans(self._size(unwrap(runner.model)), **self.kmeans)], n_images, n_cells)

    def forget(self, model: torch.nn.Module) -> None:
        model.clusters[FRESH].fit(None)

    def is_fitted(self, model: torch.nn.Module) -> bool:
        return len(model.clusters[FRESH].weight) == self._size(model)

    def begin(self, model: torch.nn.Module, n_images: int, key: Tuple[int, ...], device: torch.device) -> None:
        self._kmeans = MiniBatchKMeans(self._size(model), **self.kmeans)
        self._stream = StreamingKMeans([[self._kmeans]], n_images, seed=key[:1], device=device, **self.stream)

    def add(self, batch: FeatureBatch) -> None:
        self._stream.add(batch.positions, [batch.feats()])
        self._stream.advance(batch.end)

    def finish(self) -> None:
        self._stream.finish()
        check_not_collapsed(self._kmeans.cluster_centers_, self.name)

    def use(self, runner, model: torch.nn.Module) -> None:
        kmeans = self._kmeans
        model.clusters[FRESH].fit(kmeans.cluster_centers_)
        runner.logger.info(f'{self.name}: loss {kmeans.inertia_:.4f}, {kmeans.n_clusters} clusters, '
                           f'{int((kmeans.counts_ == 0).sum())} empty')
