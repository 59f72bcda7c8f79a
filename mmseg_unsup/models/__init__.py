from .data_preprocessor import MultiViewDataPreProcessor
from .decode_heads import PrototypeHead
from .necks import LateralSumNeck
from .segmentors import PiCIE

__all__ = ['LateralSumNeck', 'MultiViewDataPreProcessor', 'PiCIE', 'PrototypeHead']
