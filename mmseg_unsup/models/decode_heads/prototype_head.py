"""A classifier whose weights are cluster centres."""
from typing import List, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from ...registry import MODELS

DISTANCES = ('euclidean', 'dot')
FRESH = 'fresh'


@MODELS.register_module()
class PrototypeHead(BaseModule):
    """Scores unit-length pixel features against prototypes.

    Prototypes are buffers, so a checkpoint, ``tools/test.py`` and mmseg's inferencer need nothing else. There are
    several *sets*: ``view1`` ... ``viewV`` are the centres the training used, ``fresh`` those of a k-means fitted to
    the features without augmentation, which may have another number of clusters. Sets that were never fitted have no
    rows, and asking for one is an error.

    Args:
        in_channels: C.
        n_clusters: K of the training sets.
        num_views: V.
        distance: scores for prediction. ``'euclidean'`` is ``f.mu - |mu|^2 / 2``, the nearest prototype wins, the same
            rule as in clustering; ``'dot'`` is ``f.mu``, which the released code uses in evaluation (commons.py:186).
            For prototypes of unit length they agree.
        in_index: which of the neck's outputs to use.

    Attributes:
        prototypes (Tensor): (V, K, C).
        class_weights (Tensor): (V, K), weights of the pseudo-label loss.
        fresh_prototypes (Tensor): (K', C).

    Raises:
        ValueError: ``n_clusters < 2``, unknown ``distance``, a checkpoint with another number of clusters.
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
        if n_clusters < 2:
            raise ValueError(f'n_clusters must be at least 2 to tell pixels apart, but it is {n_clusters}')
        if distance not in DISTANCES:
            raise ValueError(f'distance={distance!r} is not one of {DISTANCES}')
        self.in_channels, self.n_clusters, self.num_views = in_channels, n_clusters, num_views
        self.distance, self.in_index, self.align_corners = distance, in_index, align_corners
        self.register_buffer('prototypes', torch.zeros(num_views, n_clusters, in_channels))
        self.register_buffer('class_weights', torch.zeros(num_views, n_clusters))
        self.register_buffer('fresh_prototypes', torch.zeros(0, in_channels))

    # mmseg's segmentors read these two
    @property
    def num_classes(self) -> int:
        return self.set_size(self.default_set)

    @property
    def out_channels(self) -> int:
        return self.num_classes

    @property
    def default_set(self) -> str:
        """The set that plain prediction uses: ``fresh`` once fitted, else the first view's."""
        return FRESH if len(self.fresh_prototypes) else 'view1'

    def set_names(self) -> List[str]:
        return [FRESH] + [f'view{v + 1}' for v in range(self.num_views)]

    def set_size(self, name: str) -> int:
        return len(self.prototype_set(name))

    def prototype_set(self, name: str) -> Tensor:
        """(K, C) prototypes of a set.

        Raises:
            KeyError: no such set.
        """
        if name == FRESH:
            return self.fresh_prototypes
        if name not in self.set_names():
            raise KeyError(f'unknown prototype set {name!r}; this head has {self.set_names()}')
        return self.prototypes[int(name[len('view'):]) - 1]

    @torch.no_grad()
    def set_prototypes(self, prototypes: Tensor, class_weights: Tensor) -> None:
        """Store (V, K, C) centres and (V, K) weights of a clustering."""
        self.prototypes.copy_(prototypes)
        self.class_weights.copy_(class_weights)

    @torch.no_grad()
    def set_fresh_prototypes(self, prototypes: Tensor) -> None:
        """Store (K', C) centres of a fresh k-means; None forgets them."""
        if prototypes is None:
            prototypes = self.fresh_prototypes[:0]
        self.fresh_prototypes = prototypes.to(self.fresh_prototypes).clone()

    def assign(self, feats: Tensor, view: int) -> Tensor:
        """(N, C, h, w) unit features -> (N, h, w) int64 nearest training prototype of a view (Euclidean)."""
        with torch.autocast(feats.device.type, enabled=False):  # labels by the distances of the clustering, float32
            return _scores(feats.float(), self.prototypes[view], 'euclidean').argmax(1)

    def forward(self, inputs: Tuple[Tensor, ...], names: Sequence[str] = None) -> Tensor:
        """Features -> (N, K_1 + K_2 + ..., h, w) scores, one block of channels per set in ``names``.

        Raises:
            RuntimeError: a set has not been fitted.
        """
        feats = F.normalize(inputs[self.in_index].float(), dim=1)
        return torch.cat([_scores(feats, self._fitted(name), self.distance) for name in names or [self.default_set]], 1)

    def predict(self, inputs: Tuple[Tensor, ...], batch_img_metas: List[dict], test_cfg: dict) -> Tensor:
        """Scores of the sets in ``test_cfg.prototype_sets``, brought to the size of the image."""
        scores = self.forward(inputs, (test_cfg or {}).get('prototype_sets'))
        size = batch_img_metas[0].get('pad_shape', batch_img_metas[0]['img_shape'])[:2]
        return F.interpolate(scores, size=tuple(size), mode='bilinear', align_corners=self.align_corners)

    def _fitted(self, name: str) -> Tensor:
        prototypes = self.prototype_set(name)
        if not prototypes.any():
            raise RuntimeError(f'the prototype set {name!r} has not been fitted: load a checkpoint of a run that '
                               'clustered, or train first')
        return prototypes

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args, **kwargs) -> None:
        fresh = state_dict.get(prefix + 'fresh_prototypes')
        if fresh is not None and fresh.size(1) == self.in_channels:  # its number of rows is the checkpoint's
            self.fresh_prototypes = self.fresh_prototypes.new_zeros(fresh.shape)
        stored = state_dict.get(prefix + 'prototypes')
        if stored is not None and stored.shape != self.prototypes.shape:
            raise ValueError(
                f'the checkpoint has prototypes of shape {tuple(stored.shape)} (views, clusters, channels), the config '
                f'asks for {tuple(self.prototypes.shape)}: set n_clusters of model.decode_head to {stored.size(1)}, or '
                'start from its backbone only (model.backbone.init_cfg)')
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _scores(feats: Tensor, prototypes: Tensor, distance: str) -> Tensor:
    """(N, C, h, w), (K, C) -> (N, K, h, w); the largest is the nearest."""
    scores = feats.permute(0, 2, 3, 1) @ prototypes.t()  # a cell a row, which channels-last maps are in memory
    if distance == 'euclidean':
        scores = scores - 0.5 * prototypes.square().sum(1)
    return scores.permute(0, 3, 1, 2)
