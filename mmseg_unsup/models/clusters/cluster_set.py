"""A set of clusters: what scores features, is named by people, and travels in checkpoints."""
from abc import ABC, abstractmethod
from typing import List, Optional, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...clustering.backends import ChunkedRows
from ...clustering.lloyd import nearest_centers
from ...functional import prototype_scores
from ...registry import MODELS
from ...utils.checks import check_count
from ..sized_module import SizedModule

DISTANCES = ('euclidean', 'dot')


class ClusterSet(SizedModule, ABC):
    """K clusters of feature vectors, each with a score; the largest wins.

    Args:
        in_channels: C.
        n_clusters: K; of a set that is fitted, until it is.

    Attributes:
        scores_are_shares (bool): scores of a cell are from 0 to 1 and sum to 1, so that they say how sure the set is.
        scores_are_logits (bool): of probabilities; other scores have a scale of their own, which a CRF needs to know.

    Raises:
        ValueError: ``n_clusters`` is no whole number from 2 on.
    """

    scores_are_shares = False
    scores_are_logits = False

    def __init__(self, in_channels: int, n_clusters: int) -> None:
        super().__init__()
        check_count('n_clusters', n_clusters, low=2)
        self.in_channels, self._n_clusters = in_channels, n_clusters

    @property
    def n_clusters(self) -> int:
        return self._n_clusters

    @property
    def is_fitted(self) -> bool:
        """Whether the set can score; one that is trained always can."""
        return True

    @abstractmethod
    def forward(self, feats: Tensor) -> Tensor:
        """(N, C, h, w) features as the neck gives them -> (N, K, h, w) scores."""

    @abstractmethod
    def tensors(self) -> List[Tensor]:
        """What tells the clusters from each other and from those of other checkpoints."""

    @property
    def centers(self) -> Optional[Tensor]:
        """(K, C) centres among features of unit length; None where the clusters have no such centres."""
        return None


@MODELS.register_module()
class PrototypeSet(ClusterSet):
    """Centres of a k-means on features of unit length.

    Args:
        distance: ``'euclidean'`` scores by ``f.mu - |mu|^2 / 2`` for unit-length features, the nearest prototype wins;
            ``'dot'`` by ``f.mu``, which the released PiCIE code uses in evaluation (commons.py:186). For prototypes of
            unit length they agree.

    Attributes:
        weight (Tensor): (K, C), no rows before the first fit.

    Raises:
        ValueError: an unknown distance; see :class:`ClusterSet`.
    """

    sized = ('weight', )

    def __init__(self, in_channels: int, n_clusters: int, distance: str = 'euclidean') -> None:
        super().__init__(in_channels, n_clusters)
        if distance not in DISTANCES:
            raise ValueError(f'distance={distance!r} is not one of {DISTANCES}')
        self.distance = distance
        self.register_buffer('weight', torch.zeros(0, in_channels))

    @property
    def n_clusters(self) -> int:
        return len(self.weight) or self._n_clusters

    @property
    def is_fitted(self) -> bool:
        return len(self.weight) > 0

    @torch.no_grad()
    def fit(self, centers: Optional[Tensor]) -> None:
        """Store (K', C) centres; None forgets them."""
        centers = self.weight[:0] if centers is None else centers
        self.weight = centers.to(self.weight).clone()

    def forward(self, feats: Tensor) -> Tensor:
        return prototype_scores(F.normalize(feats, dim=1), self.weight, self.distance)

    def tensors(self) -> List[Tensor]:
        return [self.weight]

    @property
    def centers(self) -> Tensor:
        return self.weight


class LabellingPrototypes(PrototypeSet):
    """Prototypes whose nearest one is the label that a network trains on; as many as the config says.

    Attributes:
        weight (Tensor): (K, C), zero before the first clustering.
        class_weights (Tensor): (K,), weights of the loss.

    Raises:
        ValueError: a checkpoint has another number of clusters.
    """

    sized = ()

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.weight = torch.zeros(self._n_clusters, self.in_channels)
        self.register_buffer('class_weights', torch.zeros(self._n_clusters))

    @property
    def is_fitted(self) -> bool:
        # torch.export cannot follow a choice by values; it is asked only after `cluster_tensors`
        return torch.compiler.is_compiling() or bool(self.weight.any())

    @torch.no_grad()
    def fit(self, centers: Tensor, class_weights: Tensor) -> None:
        """Store (K, C) centres and (K,) weights of a clustering."""
        self.weight.copy_(centers)
        self.class_weights.copy_(class_weights)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        stored = state_dict.get(f'{prefix}weight')
        if stored is not None and stored.shape != self.weight.shape:
            remedy = 'over_clustering of model as in its run' if '.over' in prefix else (
                f'n_clusters of model.decode_head to {len(stored)}')
            raise ValueError(f'the checkpoint has {prefix}weight of shape {tuple(stored.shape)} (clusters, channels), '
                             f'the config asks for {tuple(self.weight.shape)}: set {remedy}, or start from its '
                             'backbone only (model.backbone.init_cfg)')
        super()._load_from_state_dict(state_dict, prefix, *args)


def nearest_prototypes(sets: Sequence[LabellingPrototypes], feats: Tensor) -> List[Tensor]:
    """(N, C, h, w) unit features -> of each set, (N, h, w) int64 nearest prototype by the Euclidean distance, in
    float32 as in the clustering; one product for all."""
    rows = feats.float().permute(0, 2, 3, 1)
    with torch.autocast(feats.device.type, enabled=False):
        found = nearest_centers(rows.flatten(0, 2), [of_set.weight for of_set in sets], 'torch', ChunkedRows())
    return [index.view(rows.shape[:3]) for index in found]


@MODELS.register_module()
class ClassifierSet(ClusterSet):
    """K-way linear classifiers side by side (*sub-heads*), which are trained; the one with the lowest loss predicts.

    Args:
        num_sub_heads: classifiers that start from different weights.
        momentum: of the running mean of each sub-head's loss.

    Attributes:
        running_loss (Tensor): (num_sub_heads,), so that a checkpoint knows which one is best.

    Raises:
        ValueError: no sub-head; see :class:`ClusterSet`.
    """

    scores_are_logits = True

    def __init__(self, in_channels: int, n_clusters: int, num_sub_heads: int = 1, momentum: float = 0.02) -> None:
        super().__init__(in_channels, n_clusters)
        check_count('num_sub_heads', num_sub_heads)
        self.momentum = momentum
        self.classifiers = nn.ModuleList(nn.Conv2d(in_channels, n_clusters, 1) for _ in range(num_sub_heads))
        self.register_buffer('running_loss', torch.zeros(num_sub_heads))

    def forward(self, feats: Tensor) -> Tensor:
        return F.conv2d(feats, *self.tensors())

    def tensors(self) -> List[Tensor]:
        """Weight and bias of the best sub-head; chosen on the device, which exporters can follow."""
        best = self.running_loss.argmin(0, keepdim=True)
        parts = ([getattr(classifier, part) for classifier in self.classifiers] for part in ('weight', 'bias'))
        return [torch.stack(list(part)).index_select(0, best)[0] for part in parts]

    def probabilities(self, feats: Tensor) -> List[Tensor]:
        """(N, C, h, w) -> per sub-head, (N, K, h, w) probabilities of the clusters, float32."""
        return [classifier(feats).float().softmax(1) for classifier in self.classifiers]

    @torch.no_grad()
    def record_losses(self, losses: List[Tensor]) -> None:
        """Fold the losses of a step into the running means; the first step sets them."""
        losses = torch.stack(losses).detach().to(self.running_loss)
        momentum = torch.where(self.running_loss.any(), self.momentum, losses.new_ones(()))  # no host waits for it
        self.running_loss.lerp_(losses, momentum)


@MODELS.register_module()
class CosineClusterSet(ClusterSet):
    """Trained directions, whose score is the cosine with the feature: the cluster probe of STEGO (arXiv 2203.08414).

    Attributes:
        weight (Parameter): (K, C), of any length.
    """

    def __init__(self, in_channels: int, n_clusters: int) -> None:
        super().__init__(in_channels, n_clusters)
        self.weight = nn.Parameter(torch.randn(n_clusters, in_channels))

    def forward(self, feats: Tensor) -> Tensor:
        return prototype_scores(F.normalize(feats, dim=1), self.centers, 'dot')

    def loss(self, feats: Tensor) -> Tensor:
        """(N, C, h, w) features -> minus the mean cosine with the nearest direction: a k-means by gradients.

        Source: equation 5 of arXiv 2203.08414; ``ClusterLookup`` of the released code without ``alpha``.
        """
        return -self(feats.float()).amax(1).mean()

    def tensors(self) -> List[Tensor]:
        return [self.centers]

    @property
    def centers(self) -> Tensor:
        return F.normalize(self.weight, dim=1)


class DescriptorClusters(ClusterSet):
    """Clusters of vectors that describe objects, as a linear classifier; before it is fitted all are one cluster.

    Attributes:
        weight (Tensor), bias (Tensor): (K, D) and (K,).
    """

    sized = ('weight', 'bias')
    scores_are_logits = True  # in a map they are those of saliency

    def __init__(self) -> None:
        nn.Module.__init__(self)  # the fit says how many channels and clusters there are
        self.register_buffer('weight', torch.zeros(0, 0))
        self.register_buffer('bias', torch.zeros(0))

    @property
    def n_clusters(self) -> int:
        return len(self.bias) or 1

    @property
    def is_fitted(self) -> bool:
        return len(self.bias) > 0

    @torch.no_grad()
    def fit(self, weight: Optional[Tensor], bias: Optional[Tensor] = None) -> None:
        """Store (K, D) and (K,); None forgets them."""
        self.weight = self.weight.new_zeros(0, 0) if weight is None else weight.to(self.weight).clone()
        self.bias = self.bias.new_zeros(0) if weight is None else bias.to(self.bias).clone()

    def forward(self, descriptors: Tensor) -> Tensor:
        """(S, D) -> (S, K) scores."""
        return descriptors @ self.weight.t() + self.bias

    def tensors(self) -> List[Tensor]:
        return [self.weight, self.bias]

    def _load_from_state_dict(self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool,
                              missing_keys: List[str], *args) -> None:
        self.fit(*(state_dict.get(prefix + name) for name in self.sized))
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing_keys, *args)
        if not self.is_fitted:  # a converted checkpoint has none
            missing_keys[:] = [key for key in missing_keys if not key.startswith(prefix)]
