"""What the heads of all methods share: named sets of clusters, one of them fitted to the finished features."""
from typing import List, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from ...registry import MODELS
from ...utils.checks import check_count

DISTANCES = ('euclidean', 'dot')
FRESH = 'fresh'


@MODELS.register_module()
class ClusterHead(BaseModule):
    """Scores pixels against *sets* of clusters, each with a name and a size of its own.

    The set ``fresh`` holds prototypes of a k-means fitted to the features without augmentation, whatever the method.
    A method that trains features alone needs no other head; a subclass adds the sets that it trains. Asking for a set
    that was never fitted is an error.

    Args:
        in_channels: C.
        n_clusters: K of the trained sets, and of ``fresh`` until it is fitted.
        num_views: V, the views of an image that the method trains on.
        distance: scores of prototypes. ``'euclidean'`` is ``f.mu - |mu|^2 / 2`` for unit-length features, the nearest
            prototype wins; ``'dot'`` is ``f.mu``, which the released PiCIE code uses in evaluation (commons.py:186).
            For prototypes of unit length they agree.
        in_index: which of the neck's outputs to use.

    Attributes:
        fresh_prototypes (Tensor): (K', C); a buffer, so checkpoints carry it.

    Raises:
        ValueError: ``n_clusters`` is below 2 or no whole number, or unknown ``distance``.
    """

    def __init__(self,
                 in_channels: int,
                 n_clusters: int,
                 num_views: int = 2,
                 distance: str = 'euclidean',
                 in_index: int = 0,
                 align_corners: bool = False,
                 init_cfg: dict = None) -> None:
        super().__init__(init_cfg)
        check_count('n_clusters', n_clusters, low=2)
        check_count('num_views', num_views)
        if distance not in DISTANCES:
            raise ValueError(f'distance={distance!r} is not one of {DISTANCES}')
        self.in_channels, self.n_clusters, self.num_views = in_channels, n_clusters, num_views
        self.distance, self.in_index, self.align_corners = distance, in_index, align_corners
        self.register_buffer('fresh_prototypes', torch.zeros(0, in_channels))

    @property
    def trained_sets(self) -> List[str]:
        """Names of the sets that the method trains; the first one predicts until ``fresh`` is fitted."""
        return []

    def trained_scores(self, feats: Tensor, name: str) -> Tensor:
        """(N, C, h, w) features as the neck gives them -> (N, K, h, w) scores of a trained set."""
        raise NotImplementedError(f'{type(self).__name__} does not say how the set {name!r} scores')

    def trained_tensors(self, name: str) -> List[Tensor]:
        """What defines the clusters of a trained set.

        Raises:
            RuntimeError: it has not been fitted.
        """
        raise NotImplementedError(f'{type(self).__name__} does not say what the set {name!r} is made of')

    def trained_is_fitted(self, name: str) -> bool:
        """Whether a trained set can predict; a classifier always does."""
        return True

    # mmseg's segmentors read these two
    @property
    def num_classes(self) -> int:
        return self.set_size(self.default_set)

    @property
    def out_channels(self) -> int:
        return self.num_classes

    @property
    def default_set(self) -> str:
        """The set that plain prediction uses."""
        return FRESH if len(self.fresh_prototypes) or not self.trained_sets else self.trained_sets[0]

    def set_names(self) -> List[str]:
        return [FRESH, *self.trained_sets]

    def set_size(self, name: str) -> int:
        """Number of clusters of a set.

        Raises:
            KeyError: no such set.
        """
        if name not in self.set_names():
            raise KeyError(f'unknown cluster set {name!r}; this head has {self.set_names()}')
        return len(self.fresh_prototypes) or self.n_clusters if name == FRESH else self.n_clusters

    def is_fitted(self, name: str) -> bool:
        """Whether a set can predict."""
        return len(self.fresh_prototypes) > 0 if name == FRESH else self.trained_is_fitted(name)

    def set_tensors(self, name: str) -> List[Tensor]:
        """What defines the clusters of a set.

        Raises:
            KeyError: no such set.
            RuntimeError: it has not been fitted.
        """
        self.set_size(name)  # refuses unknown names
        return [self._fitted_fresh()] if name == FRESH else self.trained_tensors(name)

    def centers(self, name: str) -> Optional[Tensor]:
        """(K, C) centres of a set among features of unit length; None where its clusters are no such centres."""
        return self.fresh_prototypes if name == FRESH else None

    @torch.no_grad()
    def set_fresh_prototypes(self, prototypes: Tensor) -> None:
        """Store (K', C) centres of a fresh k-means; None forgets them."""
        if prototypes is None:
            prototypes = self.fresh_prototypes[:0]
        self.fresh_prototypes = prototypes.to(self.fresh_prototypes).clone()

    def forward(self, inputs: Tuple[Tensor, ...], names: Sequence[str] = None) -> Tensor:
        """Features -> (N, K_1 + K_2 + ..., h, w) scores, one block of channels per set in ``names``.

        Raises:
            RuntimeError: a set has not been fitted.
        """
        feats = inputs[self.in_index].float()
        return torch.cat([self._scores(feats, name) for name in names or [self.default_set]], 1)

    def predict(self, inputs: Tuple[Tensor, ...], batch_img_metas: List[dict], test_cfg: dict) -> Tensor:
        """Scores of the sets in ``test_cfg.cluster_sets``, brought to the size of the image."""
        scores = self.forward(inputs, (test_cfg or {}).get('cluster_sets'))
        size = batch_img_metas[0].get('pad_shape', batch_img_metas[0]['img_shape'])[:2]
        return F.interpolate(scores, size=tuple(size), mode='bilinear', align_corners=self.align_corners)

    def _scores(self, feats: Tensor, name: str) -> Tensor:
        self.set_size(name)  # refuses unknown names
        if name != FRESH:
            return self.trained_scores(feats, name)
        return prototype_scores(F.normalize(feats, dim=1), self._fitted_fresh(), self.distance)

    def _fitted_fresh(self) -> Tensor:
        if not self.is_fitted(FRESH):
            raise not_fitted(FRESH)
        return self.fresh_prototypes

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args, **kwargs) -> None:
        fresh = state_dict.get(prefix + 'fresh_prototypes')
        if fresh is not None and fresh.size(1) == self.in_channels:  # its number of rows is the checkpoint's
            self.fresh_prototypes = self.fresh_prototypes.new_zeros(fresh.shape)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def not_fitted(name: str) -> RuntimeError:
    """The error of a set that cannot predict."""
    return RuntimeError(f'the cluster set {name!r} has not been fitted: load a checkpoint of a run that clustered, '
                        'or train first')


def prototype_scores(feats: Tensor, prototypes: Tensor, distance: str) -> Tensor:
    """(N, C, h, w), (K, C) -> (N, K, h, w); the largest is the nearest."""
    scores = feats.permute(0, 2, 3, 1) @ prototypes.t()  # a cell a row, which channels-last maps are in memory
    if distance == 'euclidean':
        scores = scores - 0.5 * prototypes.square().sum(1)
    return scores.permute(0, 3, 1, 2)
