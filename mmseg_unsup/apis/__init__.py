from ..structures import ClusterNames, NamedClass
from .export import ExportedSegmentor, export_segmentor
from .inferencer import Prediction, UnsupInferencer
from .loading import load_segmentor, read_config, whole_image_pipeline

__all__ = [
    'ClusterNames', 'ExportedSegmentor', 'NamedClass', 'Prediction', 'UnsupInferencer', 'export_segmentor',
    'load_segmentor', 'read_config', 'whole_image_pipeline'
]
