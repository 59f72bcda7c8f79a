from .backbones import DINOViT, FrozenBackbone
from .clusters import ClassifierSet, CosineClusterSet, NeighbourSet, PrototypeSet
from .data_preprocessor import MultiViewDataPreProcessor
from .decode_heads import ClusterHead, EmbeddingHead
from .losses import BalancedBCELoss, MaskNCELoss
from .necks import LateralSumNeck, PlainViTPyramid, ResidualProjection
from .segmentors import FrozenSegmentor, IIC, MDC, MaskContrast, PiCIE, ReleasedSegmentor, STEGO
from .teachers import PrototypeTeacher

__all__ = [
    'BalancedBCELoss', 'ClassifierSet', 'ClusterHead', 'CosineClusterSet', 'DINOViT', 'EmbeddingHead',
    'FrozenBackbone', 'FrozenSegmentor', 'IIC', 'LateralSumNeck', 'MDC', 'MaskContrast', 'MaskNCELoss',
    'MultiViewDataPreProcessor', 'NeighbourSet', 'PiCIE', 'PlainViTPyramid', 'PrototypeSet', 'PrototypeTeacher',
    'ReleasedSegmentor', 'ResidualProjection', 'STEGO'
]
