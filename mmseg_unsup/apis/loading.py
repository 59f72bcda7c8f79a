"""A trained model from its config and checkpoint, for use outside a runner."""
import copy
import os.path as osp
import zipfile
from typing import Optional, Tuple, Union

from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from torch import nn

from ..hosts.safe_loading import allow_globals, load_safely
from ..models.segmentors.cluster_segmentor import ClusterSegmentor
from ..registry import MODELS
from ..utils.config import merge_options
from ..utils.devices import check_device
from ..utils.stored_config import read_stored_config
from ..utils.whole_images import adapt_to_mmseg
from ..weights import load_network_config
from .model_files import check_config_path, find_model


def read_config(config: Union[str, Config], options: Optional[dict] = None) -> Config:
    """A config by path or as ``mmseg_unsup::picie/picie_fpn_camvid.py``, with dotted options merged.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no config.
    """
    if isinstance(config, Config):
        return _with_options(copy.deepcopy(config), options)
    check_config_path(str(config))
    return load_network_config(str(config), options)


def model_config(config: Union[str, Config, None], weights: str, options: Optional[dict] = None) -> Config:
    """The config of a model: :func:`read_config`, or without one what the checkpoint carries, as data; for what is
    raised see :func:`load_segmentor`."""
    if config is not None:
        return read_config(config, options)
    init_default_scope('mmseg')
    weights = find_model(weights)
    return _with_options(Config(read_stored_config(read_weights(weights)[0], weights)), options)


def mmseg_config(config: Union[str, Config], options: Optional[dict] = None) -> Config:
    """A config as ``init_model`` and ``MMSegInferencer`` of ``mmseg.apis`` take it: they see images wholly.

    The models of this package adapt any config that these functions build them from; supervised models whose data sets
    are of this package need this one.

    Raises:
        FileNotFoundError, KeyError: see :func:`read_config`; there is no test pipeline.
    """
    cfg = read_config(config, options)
    cfg.pop('shortcuts', None)  # they are applied, and options may have set their targets
    adapt_to_mmseg(cfg)
    return cfg


def load_segmentor(config: Union[str, Config, None],
                   weights: str,
                   device: str = 'cpu',
                   options: Optional[dict] = None) -> Tuple[Config, ClusterSegmentor]:
    """Build the model of a config and load a checkpoint, as data; in eval mode.

    Args:
        config: see :func:`read_config`; None for the one that the checkpoint carries, see :func:`read_stored_config`.
        weights: what :func:`mmseg_unsup.apis.model_files.find_model` takes.
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
    weights = find_model(weights)
    checkpoint, state = read_weights(weights)
    if cfg is None:
        cfg = _with_options(Config(read_stored_config(checkpoint, weights)), options)
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    if not isinstance(model, ClusterSegmentor):
        raise TypeError(f'model.type={cfg.model.type!r} is not a method of mmseg_unsup with clusters: use '
                        'mmseg.apis.MMSegInferencer for supervised models')
    _load_weights(model, state, weights)
    return cfg, model.to(device).eval()


def read_weights(path: str) -> Tuple[dict, dict]:
    """The checkpoint and the weights in it, whose tensors are read from the disk when they are used."""
    if osp.isfile(path):
        lazily = dict(mmap=True) if zipfile.is_zipfile(path) else {}  # others are of old releases, or safetensors
        checkpoint = load_safely(path, 'cpu', **lazily)
    else:
        checkpoint = CheckpointLoader.load_checkpoint(path, map_location='cpu')  # an address
    state = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict):
        raise ValueError(f'{path} holds no dict of weights: give a checkpoint that a training wrote')
    return checkpoint, state


def with_refine(options: Optional[dict], refine: Optional[str]) -> Optional[dict]:
    """Options of a config, and how its maps are refined; None for what the config says."""
    if refine is None:
        return options
    said = {'model.test_cfg.refine': None} if refine == 'none' else {'model.test_cfg.refine.method': refine}
    return {**(options or {}), **said}


def _with_options(cfg: Config, options: Optional[dict]) -> Config:
    merge_options(cfg, options or {})
    return cfg


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


def batch_of_one(model: ClusterSegmentor, packed: dict) -> dict:
    """A sample as its transforms pack it -> ``inputs`` (1, 3, H, W), normalised, and ``data_samples`` of one."""
    return model.data_preprocessor({key: [value] for key, value in packed.items()}, False)
