"""The head of all methods that cluster the cells of a feature map."""
from typing import Dict, List, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from ...registry import MODELS
from ..clusters import FRESH, ClusterSets, PrototypeSet


@MODELS.register_module()
class ClusterHead(BaseModule):
    """Scores the cells of a feature map against *sets* of clusters, each with a name and a size of its own.

    The set ``fresh`` holds prototypes of a k-means fitted to the features without augmentation, whatever the method. A
    method that trains features alone needs no other; a segmentor, or ``clusters`` in the config, adds those that are
    trained. Asking for a set that was never fitted is an error.

    Args:
        in_channels: C.
        n_clusters: K of the trained sets, and of ``fresh`` until it is fitted.
        distance: of prototypes, see :class:`mmseg_unsup.PrototypeSet`.
        in_index: which of the neck's outputs to use.
        clusters: name -> config of a further set, such as ``dict(type='mmseg_unsup.CosineClusterSet')``.

    Attributes:
        clusters (ClusterSets): of all sets, in the checkpoint.

    Raises:
        ValueError: ``n_clusters`` is below 2 or no whole number, or unknown ``distance``.
    """

    def __init__(self,
                 in_channels: int,
                 n_clusters: int,
                 distance: str = 'euclidean',
                 in_index: int = 0,
                 align_corners: bool = False,
                 clusters: Optional[Dict[str, dict]] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.in_channels, self.n_clusters, self.distance = in_channels, n_clusters, distance
        self.in_index, self.align_corners = in_index, align_corners
        self.clusters = ClusterSets({FRESH: PrototypeSet(in_channels, n_clusters, distance)})
        for name, config in (clusters or {}).items():
            sizes = dict(in_channels=in_channels, n_clusters=n_clusters)
            self.clusters[name] = MODELS.build({**sizes, **config})

    # mmseg's segmentors read these two
    @property
    def num_classes(self) -> int:
        return self.clusters[self.clusters.default].n_clusters

    @property
    def out_channels(self) -> int:
        return self.num_classes

    def forward(self, inputs: Tuple[Tensor, ...], names: Optional[Sequence[str]] = None) -> Tensor:
        """Features -> (N, K_1 + K_2 + ..., h, w) scores, one block of channels per set in ``names``.

        Raises:
            RuntimeError: a set has not been fitted.
        """
        feats = inputs[self.in_index].float()
        return torch.cat([self.clusters.fitted(name)(feats) for name in names or [self.clusters.default]], 1)

    def predict(self, inputs: Tuple[Tensor, ...], batch_img_metas: List[dict], test_cfg: dict) -> Tensor:
        """Scores of the sets in ``test_cfg.cluster_sets``, brought to the size of the image."""
        scores = self.forward(inputs, self.clusters.usable((test_cfg or {}).get('cluster_sets')))
        size = batch_img_metas[0].get('pad_shape', batch_img_metas[0]['img_shape'])[:2]
        return F.interpolate(scores, size=tuple(size), mode='bilinear', align_corners=self.align_corners)
