from ..structures import ClusterNames, NamedClass
from .export import ExportedSegmentor, export_segmentor
from .inferencer import Prediction, UnsupInferencer
from ..utils.test_pipeline import whole_image_pipeline
from .loading import load_segmentor, mmseg_config, read_config

__all__ = [
    'ClusterNames', 'ExportedSegmentor', 'NamedClass', 'Prediction', 'UnsupInferencer', 'export_segmentor',
    'load_segmentor', 'mmseg_config', 'read_config', 'whole_image_pipeline'
]
