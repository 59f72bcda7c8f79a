from .iic import IIC
from .mask_contrast import MaskContrast
from .mdc import MDC
from .object_segmentor import ObjectSegmentor
from .picie import PiCIE
from .cluster_segmentor import ClusterSegmentor
from .pseudo_label_segmentor import PseudoLabelSegmentor
from .view_segmentor import ViewSegmentor

__all__ = [
    'IIC', 'MDC', 'MaskContrast', 'ObjectSegmentor', 'PiCIE', 'ClusterSegmentor', 'PseudoLabelSegmentor', 'ViewSegmentor'
]
