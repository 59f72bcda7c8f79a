from .cause import CAUSE
from .cluster_segmentor import ClusterSegmentor
from .frozen_segmentor import FrozenSegmentor
from .iic import IIC
from .mask_contrast import MaskContrast
from .mdc import MDC
from .object_segmentor import ObjectSegmentor
from .picie import PiCIE
from .primaps import PriMaPs
from .released_segmentor import ReleasedSegmentor
from .smooseg import SmooSeg
from .stego import STEGO
from .taught_segmentor import TaughtSegmentor

__all__ = [
    'CAUSE', 'ClusterSegmentor', 'FrozenSegmentor', 'IIC', 'MDC', 'MaskContrast', 'ObjectSegmentor', 'PiCIE', 'PriMaPs',
    'ReleasedSegmentor', 'STEGO', 'SmooSeg', 'TaughtSegmentor'
]
