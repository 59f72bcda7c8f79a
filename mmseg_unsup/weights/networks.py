"""Which network a file of weights is of: a ResNet, or a transformer of DINO, DINOv2 or DINOv3."""
from typing import Dict, Optional

from torch import Tensor

from .pretrained_file import PretrainedPart, first_words, resnet_depth
from .vit_settings import describe_vit, vit_settings

RESNET, TRANSFORMER = 'ResNet', 'mmseg_unsup.DINOViT'
OFFICIAL = 'name an official file'
_WIDTHS = ('conv1.weight', 'layer1.0.conv1.weight')  # as wide as stem and first stage of a ResNet


def network_config(state: Dict[str, Tensor]) -> Optional[dict]:
    """The config, without ``init_cfg``, of the backbone that has these tensors: a :class:`mmseg_unsup.DINOViT`, or a
    ResNet of MMSegmentation, of which the file does not say its ``style``; None for others."""
    settings = vit_settings(state)
    if settings is not None:
        return dict(type=TRANSFORMER, **settings)
    depth, stem, first = resnet_depth(state), *map(state.get, _WIDTHS)
    if depth is None or stem is None or first is None:
        return None
    return dict(type=RESNET, depth=depth, stem_channels=len(stem), base_channels=len(first))


def known_network(pretrained: PretrainedPart, remedy: str = OFFICIAL, only_transformers: bool = False) -> dict:
    """The config of :func:`network_config` of the backbone in a file.

    Args:
        remedy: what the error advises.
        only_transformers: a ResNet is an error too.

    Raises:
        ValueError: it holds another network, or does not say all of a transformer.
    """
    config = network_config(pretrained.state)
    if config is None or only_transformers and not is_transformer(config):
        others = '' if only_transformers else 'ResNet and no '
        raise ValueError(f'{pretrained} holds no {others}transformer of DINO, DINOv2 or DINOv3 by the official names, '
                         f'but tensors {_whose(pretrained.state)}: {remedy}')
    arch = config.get('arch')
    if isinstance(arch, dict) and config['family'] != 'dinov3' and arch['embed_dims'] % 64:
        raise ValueError(f'{pretrained} holds a transformer of {arch["embed_dims"]} channels, no multiple of the 64 of '
                         'a head, and does not say how many heads it has: give arch of the DINOViT in a config')
    return config


def _whose(state: Dict[str, Tensor]) -> str:
    """Which package names tensors so, where that is known, or what the names begin with."""
    if 'reg_token' in state:
        return 'as timm names them'
    words = f'whose names begin with {first_words(state)}'
    return f'{words}, as transformers names them' if 'embeddings.cls_token' in state else words


def is_transformer(config: dict) -> bool:
    """Whether a config of a backbone is of a :class:`mmseg_unsup.DINOViT`."""
    return config.get('type') == TRANSFORMER


def describe_network(config: dict) -> str:
    """``'a ResNet-18'``, ``"a transformer of the family 'dino', ..."``, of a config of :func:`network_config`."""
    return describe_vit(config) if is_transformer(config) else f'a ResNet-{config["depth"]}'
