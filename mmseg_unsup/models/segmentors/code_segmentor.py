"""The base of the methods that learn codes of frozen features."""
from typing import Dict, Tuple

from torch import Tensor

from .cluster_segmentor import ClusterSegmentor, ForwardMaps
from .frozen_segmentor import check_frozen

CLUSTER = 'cluster'


class CodeSegmentor(ClusterSegmentor):
    """A :class:`mmseg_unsup.FrozenBackbone`, a neck that learns *codes* of its features, and clusters of the codes.

    The set ``cluster``, such as a :class:`mmseg_unsup.CosineClusterSet`, is trained along on detached codes: what
    trains the codes does not see it.

    Raises:
        TypeError: the backbone is not frozen.
        ValueError: there is no set ``cluster``; the head is not as wide as the codes.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        check_frozen(self)
        if CLUSTER not in self.clusters:
            raise ValueError(f'model.decode_head of {type(self).__name__} has the sets {list(self.clusters)}, but no '
                             f"{CLUSTER!r}: add clusters=dict({CLUSTER}=dict(type='mmseg_unsup.CosineClusterSet'))")
        found = getattr(self.neck if self.with_neck else None, 'out_channels', self.decode_head.in_channels)
        if found != self.decode_head.in_channels:
            raise ValueError(f'model.neck.out_channels={found} and model.decode_head.in_channels='
                             f'{self.decode_head.in_channels} are of the same codes: set both alike')

    @property
    def reads_codes(self) -> bool:
        """Whether the neck reads codes beside the maps of the backbone, as :class:`mmseg_unsup.ConceptDecoder` does;
        the method then has a ``codebook``."""
        return self.with_neck and getattr(self.neck, 'reads_codes', False)

    @property
    def feature_parts(self) -> Tuple[str, ...]:
        return (*super().feature_parts, 'codebook.') if self.reads_codes else super().feature_parts

    def frozen_maps(self, images: Tensor) -> Tuple[Tensor, ...]:
        """(N, 3, H, W) -> what the neck reads."""
        maps = self.backbone(images)
        return self.codebook(maps) if self.reads_codes else maps

    def extract_feat(self, inputs: Tensor) -> Tuple[Tensor, ...]:
        maps = self.frozen_maps(inputs)
        return self.neck(maps) if self.with_neck else maps

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
