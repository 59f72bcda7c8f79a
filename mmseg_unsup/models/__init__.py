from .data_preprocessor import MultiViewDataPreProcessor
from .decode_heads import PrototypeHead, SoftClusterHead
from .necks import LateralSumNeck
from .segmentors import IIC, MDC, PiCIE

__all__ = ['IIC', 'LateralSumNeck', 'MDC', 'MultiViewDataPreProcessor', 'PiCIE', 'PrototypeHead', 'SoftClusterHead']
