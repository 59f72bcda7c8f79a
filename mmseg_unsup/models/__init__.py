from .backbones import DINOViT, FrozenBackbone
from .clusters import AveragedSet, ClassifierSet, CosineClusterSet, NeighbourSet, PrototypeSet, WeightNormSet
from .data_preprocessor import MultiViewDataPreProcessor
from .decode_heads import ClusterHead, EmbeddingHead
from .losses import BalancedBCELoss, MaskNCELoss
from .necks import LateralSumNeck, PlainViTPyramid, ResidualProjection
from .segmentors import FrozenSegmentor, IIC, MDC, MaskContrast, PiCIE, PriMaPs, STEGO, SmooSeg
from .teachers import PrototypeTeacher

__all__ = [
    'AveragedSet', 'BalancedBCELoss', 'ClassifierSet', 'ClusterHead', 'CosineClusterSet', 'DINOViT', 'EmbeddingHead',
    'FrozenBackbone', 'FrozenSegmentor', 'IIC', 'LateralSumNeck', 'MDC', 'MaskContrast', 'MaskNCELoss',
    'MultiViewDataPreProcessor', 'NeighbourSet', 'PiCIE', 'PlainViTPyramid', 'PriMaPs', 'PrototypeSet',
    'PrototypeTeacher', 'ResidualProjection', 'STEGO', 'SmooSeg', 'WeightNormSet'
]
