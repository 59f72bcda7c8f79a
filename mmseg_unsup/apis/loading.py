"""A trained model from its config and checkpoint, for use outside a runner."""
import copy
import os.path as osp
from typing import Optional, Tuple, Union

from mmengine.config import Config
from mmengine.infer import BaseInferencer
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from torch import nn

from ..models.segmentors.probed_segmentor import ProbedSegmentor
from ..registry import MODELS
from ..utils.config import load_config, merge_options
from ..utils.devices import check_device
from ..utils.safe_loading import allow_globals
from ..utils.stored_config import read_stored_config


def read_config(config: Union[str, Config], options: Optional[dict] = None) -> Config:
    """A config by path or as ``mmseg_unsup::picie/picie_fpn_camvid.py``, with dotted options merged.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if isinstance(config, Config):
        config = copy.deepcopy(config)
        merge_options(config, options or {})
        return config
    path = str(config)
    if '::' in path:
        package, _, name = path.partition('::')
        path = osp.join(BaseInferencer._get_repo_or_mim_dir(package), 'configs', name)
    if not osp.isfile(path):
        raise FileNotFoundError(f'there is no config {str(config)!r}: give the path of a file, or mmseg_unsup::NAME '
                                'with its path below configs/')
    return load_config(path, options)


def load_segmentor(config: Union[str, Config, None],
                   weights: str,
                   device: str = 'cpu',
                   options: Optional[dict] = None) -> Tuple[Config, ProbedSegmentor]:
    """Build the model of a config and load a checkpoint, as data; in eval mode.

    Args:
        config: see :func:`read_config`; None for the one that the checkpoint carries, see :func:`read_stored_config`.
        weights: path or URL.
        options: dotted key -> value, changes of the config.

    Raises:
        FileNotFoundError: there is no such config or checkpoint.
        TypeError: the model is not one of this package.
        ValueError: the checkpoint is not one of this config, or names more than tensors and plain values; the device
            cannot be used.
    """
    init_default_scope('mmseg')
    check_device(device)
    cfg = None if config is None else read_config(config, options)
    allow_globals((cfg or {}).get('allowed_globals', []))
    checkpoint = CheckpointLoader.load_checkpoint(weights, map_location='cpu')
    if not isinstance(checkpoint, dict):
        raise ValueError(f'{weights} holds a {type(checkpoint).__name__}, not a dict of tensors: it is no checkpoint')
    if cfg is None:
        cfg = Config(read_stored_config(checkpoint, weights))
        merge_options(cfg, options or {})
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    if not isinstance(model, ProbedSegmentor):
        raise TypeError(f'model.type={cfg.model.type!r} is not a method of mmseg_unsup with clusters: use '
                        'mmseg.apis.MMSegInferencer for supervised models')
    _load_weights(model, checkpoint.get('state_dict', checkpoint), weights)
    return cfg, model.to(device).eval()


def _load_weights(model: nn.Module, state: dict, weights: str) -> None:
    """Load all that predictions are made of; what only training needs may be missing."""
    try:
        missing = model.load_state_dict(state, strict=False).missing_keys
    except RuntimeError as error:  # sizes, one per line
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise ValueError(f'{weights} does not fit the config ({len(lines)} tensors, first: {lines[0]}): use the '
                         'config it was trained with') from None
    needed = tuple({*model.feature_parts, 'decode_head.'})
    lacking = [key for key in missing if key.startswith(needed)]
    if lacking:
        raise ValueError(f'{weights} lacks {len(lacking)} tensors that predictions are made of, first {lacking[0]}: it '
                         'is no checkpoint of this config')


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
    transforms = [copy.deepcopy(transform) for transform in pipeline if not _name(transform).startswith('Load')]
    resizes = [transform for transform in transforms if _name(transform) == 'ResizeForEvaluation']
    if size is not None and not resizes:
        raise ValueError(f'size={size} cannot be set: test_dataloader.dataset.pipeline has no '
                         'mmseg_unsup.ResizeForEvaluation')
    for transform in resizes:
        transform['size'] = transform['size'] if size is None else size
        if transform.get('protocol', 'center_crop') == 'center_crop':
            transform['protocol'] = 'full_resolution'
    return transforms


def _name(transform: dict) -> str:
    return transform['type'].rpartition('.')[2]
