from .data_preprocessor import MultiViewDataPreProcessor
from .decode_heads import ClusterHead, EmbeddingHead, PrototypeHead, SoftClusterHead
from .losses import BalancedBCELoss, MaskNCELoss
from .necks import LateralSumNeck, PlainViTPyramid
from .segmentors import IIC, MDC, MaskContrast, PiCIE

__all__ = [
    'BalancedBCELoss', 'ClusterHead', 'EmbeddingHead', 'IIC', 'LateralSumNeck', 'MDC', 'MaskContrast', 'MaskNCELoss',
    'MultiViewDataPreProcessor', 'PiCIE', 'PlainViTPyramid', 'PrototypeHead', 'SoftClusterHead'
]
