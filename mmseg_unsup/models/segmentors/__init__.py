from .iic import IIC
from .mask_contrast import MaskContrast
from .mdc import MDC
from .picie import PiCIE

__all__ = ['IIC', 'MDC', 'MaskContrast', 'PiCIE']
