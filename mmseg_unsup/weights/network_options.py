"""A config whose frozen network is the one that its file of weights holds."""
import os.path as osp
from typing import List, Optional, Sequence, Union

from mmengine.config import Config

from ..utils.config import load_config, merge_options
from ..utils.whole_images import resizes_of
from .networks import RESNET, TRANSFORMER, describe_network, is_transformer, known_network
from .pretrained_file import read_part
from .vit_settings import VIT_SIZES

_SEGMENTOR, _FROZEN, _NECK = 'mmseg_unsup.FrozenSegmentor', 'mmseg_unsup.FrozenBackbone', 'mmseg_unsup.LateralSumNeck'
# arguments of a network that its file says
_OF_FILE = ('depth', 'stem_channels', 'base_channels', 'family', 'arch', 'patch_size', 'n_registers', 'img_size')
_CONFIGS = {RESNET: 'features_r18_*.py', TRANSFORMER: 'features_vit_*.py'}
_STAGES = {f'layer{i + 1}': i for i in range(4)}


def load_network_config(path: str, options: Optional[dict] = None) -> Config:
    """What :func:`load_config` reads; where nothing trains, the network, the neck behind it and the size of images are
    those that the file of weights asks for, unless ``options`` say otherwise.

    It is so for a :class:`mmseg_unsup.FrozenSegmentor` whose weights are a local file: a ResNet takes depth and widths
    of the file, a :class:`mmseg_unsup.DINOViT` family, size, patch and registers. Images that are seen wholly have as
    many patches as with the patch of the config; the centre crop of a score keeps its pixels. The path becomes an
    absolute one, as a model is used in other folders than it is made in.

    Raises:
        FileNotFoundError, ImportError, KeyError: as :func:`load_config`.
        ValueError: also: the file cannot be read, or holds a network of another kind than the config has.
    """
    options = options or {}
    cfg = load_config(path, options)
    source = _weights_of(cfg)
    if source is None:
        return cfg
    _take_network(cfg, source)
    merge_options(cfg, options)
    _make_absolute(cfg, source)
    return cfg


def _weights_of(cfg: Config) -> Optional[str]:
    """The local file of the weights of a model that nobody trains; of what is not there, loading it says so."""
    node = cfg.get('model')
    for kind, part in ((_SEGMENTOR, 'backbone'), (_FROZEN, 'backbone'), (None, 'init_cfg')):
        if not isinstance(node, dict) or kind not in (None, node.get('type')):
            return None
        node = node.get(part)
    source = node.get('checkpoint') if isinstance(node, dict) else None
    return source if isinstance(source, str) and osp.isfile(osp.expanduser(source)) else None


def _take_network(cfg: Config, source: str) -> None:
    network = cfg.model.backbone.backbone
    if network.type not in _CONFIGS:
        return
    asked = {key: network.init_cfg.get(key) for key in ('prefix', 'averaged')}
    found, patch = known_network(read_part(source, **asked)), network.get('patch_size')
    if found['type'] != network.type:
        raise ValueError(f'{source} holds {describe_network(found)}, but the network of {cfg.filename} is a '
                         f'{network.type.rpartition(".")[2]}: take one of configs/features/{_CONFIGS[found["type"]]}')
    for name in _OF_FILE:
        network.pop(name, None)
    network.update(found)
    _fit_neck(cfg.model)
    if patch and found.get('patch_size') and 'size' in cfg.get('shortcuts', {}) and _sees_whole_images(cfg):
        merge_options(cfg, dict(size=cfg.size // patch * found['patch_size']))


def _sees_whole_images(cfg: Config) -> bool:
    resizes = resizes_of((cfg.get('test_dataloader') or {}).get('dataset', {}).get('pipeline') or [])
    return bool(resizes) and all(step.get('protocol', 'center_crop') != 'center_crop' for step in resizes)


def _fit_neck(model: dict) -> None:
    """Levels are as wide as the outputs of the network, and there are no more components than channels."""
    neck, channels = model.get('neck') or {}, _channels(model.backbone.backbone, model.backbone.get('out'))
    if neck.get('type') != _NECK or channels is None:
        return
    neck.in_channels = channels
    if len(neck.get('level_weights', _STAGES)) != len(channels):
        neck.level_weights = [1.] * len(channels)
    kept, former = min(neck.out_channels, sum(channels)), neck.out_channels
    neck.out_channels = kept
    if model.decode_head.in_channels == former:
        model.decode_head.in_channels = kept


def _channels(network: dict, out: Union[str, int, Sequence[Union[str, int]], None]) -> Optional[List[int]]:
    """Of the outputs of a network by their names; None where these do not say it."""
    out = [out] if isinstance(out, (str, int)) else out
    if is_transformer(network):
        arch = network.arch
        width = VIT_SIZES[arch].embed_dims if isinstance(arch, str) else arch['embed_dims']
        return [width] * (1 if out is None else len(out))
    stages = list(network.get('out_indices', range(4)))
    stages = stages if out is None else [_STAGES.get(name) for name in out]
    width = network.base_channels * (4 if network.depth >= 50 else 1)
    return None if None in stages else [width * 2**stage for stage in stages]


def _make_absolute(cfg: Config, source: str) -> None:
    path, init_cfg = osp.abspath(osp.expanduser(source)), cfg.model.backbone.backbone.init_cfg
    if init_cfg.checkpoint == source:
        init_cfg.checkpoint = path
    if cfg.get('init') == source:
        cfg.init = path
