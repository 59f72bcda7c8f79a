from typing import TYPE_CHECKING

import lazy_loader

from ..structures import ClusterNames as ClusterNames, NamedClass as NamedClass

if TYPE_CHECKING:  # the same names for who reads the code without running it, who wants `as` for what is offered
    from .export import ExportedSegmentor as ExportedSegmentor, export_segmentor as export_segmentor
    from .inferencer import (Prediction as Prediction, UnsupInferencer as UnsupInferencer,
                             from_pretrained as from_pretrained, whole_image_pipeline as whole_image_pipeline)
    from .learn_folder import learn_folder as learn_folder
    from .learned_folder import LearnedFolder as LearnedFolder
    from .loading import (load_segmentor as load_segmentor, mmseg_config as mmseg_config, model_config as model_config,
                          read_config as read_config)
    from .model_files import find_model as find_model
    from .segment_folder import segment_folder as segment_folder
    from .segmented_folder import SegmentedFolder as SegmentedFolder
else:  # what makes masks, in processes of its own, has no time for the imports of what trains and predicts
    __getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=dict(
        export=['ExportedSegmentor', 'export_segmentor'],
        inferencer=['Prediction', 'UnsupInferencer', 'from_pretrained', 'whole_image_pipeline'],
        learn_folder=['learn_folder'], learned_folder=['LearnedFolder'],
        loading=['load_segmentor', 'mmseg_config', 'model_config', 'read_config'], model_files=['find_model'],
        segment_folder=['segment_folder'], segmented_folder=['SegmentedFolder']))
    __all__ += ['ClusterNames', 'NamedClass']
