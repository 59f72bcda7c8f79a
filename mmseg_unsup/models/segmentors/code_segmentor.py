"""The base of the methods that learn codes of frozen features."""
from typing import Dict, Tuple

from torch import Tensor

from .cluster_segmentor import ClusterSegmentor, ForwardMaps
from .frozen_segmentor import check_frozen

CLUSTER = 'cluster'


class CodeSegmentor(ClusterSegmentor):
    """A :class:`mmseg_unsup.FrozenBackbone`, a neck that learns *codes* of its features, and clusters of the codes.

    The set ``cluster``, such as a :class:`mmseg_unsup.CosineClusterSet`, is trained along on detached codes: what trains
    the codes does not see it.

    Raises:
        TypeError: the backbone is not frozen.
        ValueError: there is no set ``cluster``.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        check_frozen(self)
        if CLUSTER not in self.clusters:
            raise ValueError(f'model.decode_head of {type(self).__name__} has the sets {list(self.clusters)}, but no '
                             f"{CLUSTER!r}: add clusters=dict({CLUSTER}=dict(type='mmseg_unsup.CosineClusterSet'))")

    @property
    def probe_channels(self) -> Dict[str, int]:
        """``features``, codes of unit length, and ``codes`` as the neck gives them."""
        return dict(super().probe_channels, codes=self.decode_head.in_channels)

    def _maps(self, outputs: Tuple[Tensor, ...]) -> ForwardMaps:
        maps = super()._maps(outputs)
        return maps._replace(feats=dict(maps.feats, codes=outputs[self.decode_head.in_index]))

    def cluster_loss(self, codes: Tensor) -> Tensor:
        """That of the set ``cluster`` on (N, D, h, w) codes, which get no gradient."""
        return self.clusters[CLUSTER].loss(codes.detach())
