import lazy_loader

from ..structures import ClusterNames, NamedClass

# what makes masks, in processes of its own, has no time for the imports of what trains and predicts
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=dict(
    export=['ExportedSegmentor', 'export_segmentor'],
    inferencer=['Prediction', 'UnsupInferencer', 'whole_image_pipeline'],
    loading=['load_segmentor', 'mmseg_config', 'model_config', 'read_config'], model_files=['find_model'],
    segment_folder=['segment_folder'], segmented_folder=['SegmentedFolder']))
__all__ += ['ClusterNames', 'NamedClass']
