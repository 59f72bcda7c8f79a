"""Clusters of the frozen features: the unsupervised probe."""
from typing import Optional, Sequence

from torch import Tensor

from ...clustering import MiniBatchKMeans, StreamingKMeans, StreamSettings
from ...functional import prototype_scores
from ...registry import PROBES
from ...utils.checks import check_count
from .base import Probe


@PROBES.register_module()
class KMeansProbe(StreamSettings, Probe):
    """k-means on the training images with the transforms of evaluation; labels are not read.

    With K classes score it by ``match='hungarian'``, with more clusters (over-clustering) by ``match='majority'``.
    Settings as those of :class:`mmseg_unsup.FreshKMeansHook` give its prototypes. Scores are ``f.mu - |mu|^2 / 2``: the
    nearest centre wins.

    Args:
        n_clusters: K'; None for the number of classes.
        repeats: R fits from different starting points in the same pass, predicted as ``<name>_1`` to ``<name>_R``, for
            :class:`mmseg_unsup.RepeatedIoUMetric`. All see the same sample of cells.
        kmeans, init_images, update_images, init_pixels: see :class:`mmseg_unsup.clustering.StreamSettings`.

    Source: train_picie.py:295-339 of the released code (``--repeats``).
    """

    def __init__(self, name: str = 'kmeans', n_clusters: Optional[int] = None, repeats: int = 1, **kwargs) -> None:
        super().__init__(name, **kwargs)
        check_count(f'repeats of the probe {name!r}', repeats)
        if n_clusters is not None:
            check_count('n_clusters', n_clusters)
        self.n_clusters, self.repeats = n_clusters, repeats

    def n_outputs(self, n_classes: int) -> int:
        return self.n_clusters or n_classes

    def begin(self, *args, **kwargs) -> None:
        super().begin(*args, **kwargs)
        n_clusters = self.n_outputs(self.n_classes)
        self.models = [MiniBatchKMeans(n_clusters, **self.kmeans) for _ in range(self.repeats)]
        self._stream = StreamingKMeans([self.models], self.n_images, seed=(self.seed, ), device=self.device,
                                       **self.stream)

    def add(self, positions: Sequence[int], feats: Tensor, labels=None, segments=None) -> None:
        self._stream.add(positions, [feats])

    def advance(self, end: int) -> None:
        self._stream.advance(end)

    def finish(self) -> str:
        self._stream.finish()
        self._stream = None
        losses = ' '.join(f'{model.inertia_:.4f}' for model in self.models)
        n_empty = sum(int((model.counts_ == 0).sum()) for model in self.models)
        return f'{self.models[0].n_clusters} clusters, k-means loss {losses}, {n_empty} empty'

    def scores(self, feats: Tensor, index: int = 0, segments: Optional[Tensor] = None) -> Tensor:
        return prototype_scores(feats, self.models[index].cluster_centers_)
