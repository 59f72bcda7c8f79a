from .backbones import DINOViT, FrozenBackbone
from .clusters import ClassifierSet, CosineClusterSet, ModularitySet, NeighbourSet, PrototypeSet
from .data_preprocessor import MultiViewDataPreProcessor
from .decode_heads import ClusterHead, EmbeddingHead
from .losses import BalancedBCELoss, MaskNCELoss
from .necks import ConceptDecoder, LateralSumNeck, PlainViTPyramid, ResidualProjection
from .segmentors import CAUSE, FrozenSegmentor, IIC, MDC, MaskContrast, PiCIE, ReleasedSegmentor, STEGO
from .teachers import PrototypeTeacher

__all__ = [
    'BalancedBCELoss', 'CAUSE', 'ClassifierSet', 'ClusterHead', 'ConceptDecoder', 'CosineClusterSet', 'DINOViT',
    'EmbeddingHead', 'FrozenBackbone', 'FrozenSegmentor', 'IIC', 'LateralSumNeck', 'MDC', 'MaskContrast', 'MaskNCELoss',
    'ModularitySet', 'MultiViewDataPreProcessor', 'NeighbourSet', 'PiCIE', 'PlainViTPyramid', 'PrototypeSet',
    'PrototypeTeacher', 'ReleasedSegmentor', 'ResidualProjection', 'STEGO'
]
