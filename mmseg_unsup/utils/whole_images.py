"""The test pipeline of a config for pictures that are not scored."""
import copy
from typing import List, Optional

from mmcv.transforms import LoadAnnotations, LoadImageFromFile
from mmengine.config import Config

from ..registry import TRANSFORMS
from .config import unapplied_shortcuts
from .registered import class_of


def whole_image_pipeline(cfg: Config, size: Optional[int] = None) -> list:
    """Configs of the transforms that show the network a decoded picture: those of the test pipeline after loading,
    without the centre crop of published scores.

    Args:
        size: in the place of the config's.

    Raises:
        KeyError: there is no test pipeline.
        ValueError: ``size`` is given, but nothing in it takes it.
    """
    pipeline = (cfg.get('test_dataloader') or {}).get('dataset', {}).get('pipeline')
    if pipeline is None:
        raise KeyError('the config has no test_dataloader.dataset.pipeline, which says how the network sees an image')
    transforms = [copy.deepcopy(transform) for transform in pipeline if not _loads_file(transform)]
    resizes = resizes_of(transforms)
    if size is not None and not resizes:
        raise ValueError(f'size={size} cannot be set: test_dataloader.dataset.pipeline has no '
                         'mmseg_unsup.ResizeForEvaluation')
    for transform in resizes:
        transform['size'] = transform['size'] if size is None else size
        if transform.get('protocol', 'center_crop') == 'center_crop':
            transform['protocol'] = 'full_resolution'
    return transforms


def adapt_to_mmseg(cfg: Config) -> None:
    """Change a config in place so that MMSegmentation's functions show its model images as our own do.

    ``inference_model`` reads ``test_pipeline``, and ``MMSegInferencer`` that of ``test_dataloader``; both know loading
    by mmseg's names only, and neither cuts a prediction as the centre crop of published scores would need it.

    Raises:
        KeyError: there is no test pipeline.
        ValueError: ``Config.fromfile`` has read the config, which leaves out its ``shortcuts``.
    """
    unapplied = unapplied_shortcuts(cfg)
    if unapplied:
        raise ValueError(f'the config was read without its shortcuts, of which {unapplied[0]} differs from what it '
                         'stands for: read it by mmseg_unsup.apis.mmseg_config')
    cfg.test_pipeline = [dict(type='LoadImageFromFile'), *whole_image_pipeline(cfg)]
    cfg.test_dataloader.dataset.pipeline = copy.deepcopy(cfg.test_pipeline)


def resizes_of(pipeline: List[dict]) -> List[dict]:
    """The transforms of a pipeline that bring images to the size of the evaluation."""
    return [transform for transform in pipeline if getattr(class_of(transform, TRANSFORMS), 'is_resize', False)]


def _loads_file(transform: dict) -> bool:
    cls = class_of(transform, TRANSFORMS)
    return hasattr(cls, 'loads') or isinstance(cls, type) and issubclass(cls, (LoadAnnotations, LoadImageFromFile))
