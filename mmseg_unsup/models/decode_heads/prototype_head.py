"""A classifier whose weights are cluster centres."""
from typing import List

import torch
import torch.nn.functional as F
from torch import Tensor

from ...registry import MODELS
from .cluster_head import ClusterHead, not_fitted, prototype_scores


@MODELS.register_module()
class PrototypeHead(ClusterHead):
    """Scores unit-length pixel features against the prototypes of a clustering, one set per view.

    Prototypes are buffers, so a checkpoint, ``tools/test.py`` and mmseg's inferencer need nothing else. The sets
    ``view1`` ... ``viewV`` are the centres the training used.

    Args:
        in_channels, n_clusters, num_views, distance, in_index: see :class:`ClusterHead`.

    Attributes:
        prototypes (Tensor): (V, K, C).
        class_weights (Tensor): (V, K), weights of the pseudo-label loss.

    Raises:
        ValueError: see :class:`ClusterHead`; a checkpoint with another number of clusters.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.register_buffer('prototypes', torch.zeros(self.num_views, self.n_clusters, self.in_channels))
        self.register_buffer('class_weights', torch.zeros(self.num_views, self.n_clusters))

    @property
    def trained_sets(self) -> List[str]:
        return [f'view{v + 1}' for v in range(self.num_views)]

    def trained_scores(self, feats: Tensor, name: str) -> Tensor:
        return prototype_scores(F.normalize(feats, dim=1), *self.trained_tensors(name), self.distance)

    def trained_tensors(self, name: str) -> List[Tensor]:
        if not self.trained_is_fitted(name):
            raise not_fitted(name)
        return [self.prototypes[self.trained_sets.index(name)]]

    def trained_is_fitted(self, name: str) -> bool:
        # torch.export cannot follow a choice by values; it is asked only after `cluster_tensors`
        return torch.compiler.is_compiling() or bool(self.prototypes[self.trained_sets.index(name)].any())

    def centers(self, name: str) -> Tensor:
        return self.set_tensors(name)[0]

    @torch.no_grad()
    def set_prototypes(self, prototypes: Tensor, class_weights: Tensor) -> None:
        """Store (V, K, C) centres and (V, K) weights of a clustering."""
        self.prototypes.copy_(prototypes)
        self.class_weights.copy_(class_weights)

    def assign(self, feats: Tensor, view: int) -> Tensor:
        """(N, C, h, w) unit features -> (N, h, w) int64 nearest training prototype of a view (Euclidean)."""
        with torch.autocast(feats.device.type, enabled=False):  # labels by the distances of the clustering, float32
            return prototype_scores(feats.float(), self.prototypes[view], 'euclidean').argmax(1)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args, **kwargs) -> None:
        stored = state_dict.get(prefix + 'prototypes')
        if stored is not None and stored.shape != self.prototypes.shape:
            raise ValueError(
                f'the checkpoint has prototypes of shape {tuple(stored.shape)} (views, clusters, channels), the config '
                f'asks for {tuple(self.prototypes.shape)}: set n_clusters of model.decode_head to {stored.size(1)}, or '
                'start from its backbone only (model.backbone.init_cfg)')
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
