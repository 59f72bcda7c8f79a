from .iic import IIC
from .mdc import MDC
from .picie import PiCIE

__all__ = ['IIC', 'MDC', 'PiCIE']
