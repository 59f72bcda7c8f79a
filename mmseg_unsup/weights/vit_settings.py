"""What the tensors of a transformer of DINO, DINOv2 or DINOv3 say of it, by their official names."""
import math
import re
from typing import Dict, NamedTuple, Optional, Union

from torch import Tensor


class ViTSize(NamedTuple):
    """The sizes of a vision transformer, by the names of mmpretrain.

    Attributes:
        feedforward_channels: width of the MLP between its layers.
        gated: the MLP is a SwiGLU.
    """
    embed_dims: int
    num_layers: int
    num_heads: int
    feedforward_channels: int
    gated: bool = False


# giant is DINOv2's, small+ and huge+ are DINOv3's
VIT_SIZES = {
    'tiny': ViTSize(192, 12, 3, 768),
    'small': ViTSize(384, 12, 6, 1536),
    'small+': ViTSize(384, 12, 6, 1536, gated=True),
    'base': ViTSize(768, 12, 12, 3072),
    'large': ViTSize(1024, 24, 16, 4096),
    'huge+': ViTSize(1280, 32, 20, 5120, gated=True),
    'giant': ViTSize(1536, 40, 24, 4096, gated=True),
}
REGISTERS = dict(dinov2='register_tokens', dinov3='storage_tokens')
_NEEDED = ('cls_token', 'patch_embed.proj.weight', 'blocks.0.attn.qkv.weight', 'blocks.0.norm1.weight', 'norm.weight')
_CHANNELS_PER_HEAD = 64  # of all published ones


def vit_settings(state: Dict[str, Tensor]) -> Optional[dict]:
    """The arguments with which :class:`mmseg_unsup.DINOViT` has these tensors; None for other networks.

    The number of heads cannot be read from DINO's and DINOv2's: a head of theirs has 64 channels.

    Args:
        state: official name -> tensor.

    Returns:
        ``family``, ``arch`` (a name, or a dict of :class:`ViTSize` where there is none), ``patch_size``,
        ``n_registers`` and, where there are position embeddings, ``img_size`` in pixels.
    """
    if not all(name in state for name in _NEEDED) or 'reg_token' in state:  # the latter is timm's
        return None
    family = 'dinov3' if 'rope_embed.periods' in state else 'dinov2' if 'blocks.0.ls1.gamma' in state else 'dino'
    patch_size = state['patch_embed.proj.weight'].size(-1)
    registers = state.get(REGISTERS.get(family))
    settings = dict(family=family, arch=_arch(state), patch_size=patch_size,
                    n_registers=0 if registers is None else registers.size(1))
    if 'pos_embed' in state:
        settings['img_size'] = math.isqrt(max(state['pos_embed'].size(1) - 1, 0)) * patch_size
    return settings


def _arch(state: Dict[str, Tensor]) -> Union[str, dict]:
    size = _size(state)
    return next((name for name, known in VIT_SIZES.items() if known == size), size._asdict())


def _size(state: Dict[str, Tensor]) -> ViTSize:
    channels = state['cls_token'].size(-1)
    n_layers = len({name.split('.')[1] for name in state if re.match(r'blocks\.\d+\.', name)})
    n_periods = len(state.get('rope_embed.periods', ()))  # a quarter of the channels of a head
    per_head = 4 * n_periods or _CHANNELS_PER_HEAD
    last = next((state[name] for name in ('blocks.0.mlp.w3.weight', 'blocks.0.mlp.fc2.weight') if name in state), None)
    hidden = 0 if last is None else last.size(-1)
    return ViTSize(channels, n_layers, max(1, channels // per_head), hidden, 'blocks.0.mlp.w3.weight' in state)


def describe_vit(settings: dict) -> str:
    """``'a dinov2 of arch small, patches of 14 px, 4 registers'``"""
    arch = settings['arch']
    if isinstance(arch, dict):
        arch = f'{arch["embed_dims"]} channels and {arch["num_layers"]} blocks'
    else:
        arch = f"arch '{arch}'"
    return (f"a transformer of the family '{settings['family']}', {arch}, patches of {settings['patch_size']} px, "
            f'{settings["n_registers"] or "no"} registers')
