from .backbones import DINOViT, FrozenBackbone
from .clusters import (AveragedSet, ClassifierSet, CosineClusterSet, ModularitySet, NeighbourSet, PrototypeSet,
                       TaughtSet, WeightNormSet)
from .data_preprocessor import MultiViewDataPreProcessor
from .decode_heads import ClusterHead, EmbeddingHead
from .losses import BalancedBCELoss, MaskNCELoss
from .necks import ConceptDecoder, LateralSumNeck, PlainViTPyramid, ResidualProjection
from .segmentors import (CAUSE, FrozenSegmentor, IIC, MDC, MaskContrast, PiCIE, PriMaPs, ReleasedSegmentor, STEGO,
                         SmooSeg, TaughtSegmentor)
from .teachers import PrototypeTeacher

__all__ = [
    'AveragedSet', 'BalancedBCELoss', 'CAUSE', 'ClassifierSet', 'ClusterHead', 'ConceptDecoder', 'CosineClusterSet',
    'DINOViT', 'EmbeddingHead', 'FrozenBackbone', 'FrozenSegmentor', 'IIC', 'LateralSumNeck', 'MDC', 'MaskContrast',
    'MaskNCELoss', 'ModularitySet', 'MultiViewDataPreProcessor', 'NeighbourSet', 'PiCIE', 'PlainViTPyramid', 'PriMaPs',
    'PrototypeSet', 'PrototypeTeacher', 'ReleasedSegmentor', 'ResidualProjection', 'STEGO', 'SmooSeg',
    'TaughtSegmentor', 'TaughtSet', 'WeightNormSet'
]
