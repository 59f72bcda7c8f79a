from ..structures import ClusterNames, NamedClass
from ..utils.whole_images import whole_image_pipeline
from .export import ExportedSegmentor, export_segmentor
from .inferencer import Prediction, UnsupInferencer
from .loading import load_segmentor, mmseg_config, read_config

__all__ = [
    'ClusterNames', 'ExportedSegmentor', 'NamedClass', 'Prediction', 'UnsupInferencer', 'export_segmentor',
    'load_segmentor', 'mmseg_config', 'read_config', 'whole_image_pipeline'
]
