from ..structures import ClusterNames, NamedClass
from ..utils.whole_images import whole_image_pipeline
from .export import ExportedSegmentor, export_segmentor
from .inferencer import Prediction, UnsupInferencer
from .loading import load_segmentor, mmseg_config, model_config, read_config
from .model_files import find_model
from .segment_folder import segment_folder
from .segmented_folder import SegmentedFolder

__all__ = [
    'ClusterNames', 'ExportedSegmentor', 'NamedClass', 'Prediction', 'SegmentedFolder', 'UnsupInferencer',
    'export_segmentor', 'find_model', 'load_segmentor', 'mmseg_config', 'model_config', 'read_config',
    'segment_folder', 'whole_image_pipeline'
]
