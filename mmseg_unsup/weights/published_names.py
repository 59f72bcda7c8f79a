"""Backbones that other code published, under the names that mmpretrain gives their tensors."""
import re
from typing import Dict, List, NamedTuple, Tuple

from torch import Tensor


class Layout(NamedTuple):
    """How a library names the tensors of a backbone.

    Attributes:
        mark: a name that every such file has.
        target: a name that the module has which takes them.
        rules: pattern -> name in the module; the first that fits a name is taken.
        unused: pattern of what only served the pre-training.
    """
    mark: str
    target: str
    rules: List[Tuple[str, str]]
    unused: str


LAYOUTS = (
    # vision transformers of timm, DINO, DINOv2 and MAE
    Layout(
        mark='blocks.0.attn.qkv.weight',
        target='layers.0.attn.qkv.weight',
        rules=[
            (r'patch_embed\.proj\.', 'patch_embed.projection.'),
            (r'blocks\.(\d+)\.norm([12])\.', r'layers.\1.ln\2.'),
            (r'blocks\.(\d+)\.mlp\.fc1\.', r'layers.\1.ffn.layers.0.0.'),
            (r'blocks\.(\d+)\.mlp\.fc2\.', r'layers.\1.ffn.layers.1.'),
            (r'blocks\.(\d+)\.mlp\.(w12|w3)\.', r'layers.\1.ffn.\2.'),
            (r'blocks\.(\d+)\.ls1\.gamma', r'layers.\1.attn.gamma1.weight'),
            (r'blocks\.(\d+)\.ls2\.gamma', r'layers.\1.ffn.gamma2.weight'),
            (r'blocks\.', 'layers.'),
            (r'norm\.', 'ln1.'),
        ],
        unused=r'mask_token$|decoder_'),
    # ConvNeXt of its authors
    Layout(
        mark='stages.0.0.dwconv.weight',
        target='stages.0.0.depthwise_conv.weight',
        rules=[
            (r'stages\.(\d+)\.(\d+)\.dwconv\.', r'stages.\1.\2.depthwise_conv.'),
            (r'stages\.(\d+)\.(\d+)\.pwconv([12])\.', r'stages.\1.\2.pointwise_conv\3.'),
            (r'norm\.', 'norm3.'),
        ],
        unused=r'head\.'),
    # ConvNeXt of timm
    Layout(
        mark='stages.0.blocks.0.conv_dw.weight',
        target='stages.0.0.depthwise_conv.weight',
        rules=[
            (r'stem\.', 'downsample_layers.0.'),
            (r'stages\.(\d+)\.downsample\.', r'downsample_layers.\1.'),
            (r'stages\.(\d+)\.blocks\.(\d+)\.conv_dw\.', r'stages.\1.\2.depthwise_conv.'),
            (r'stages\.(\d+)\.blocks\.(\d+)\.mlp\.fc([12])\.', r'stages.\1.\2.pointwise_conv\3.'),
            (r'stages\.(\d+)\.blocks\.(\d+)\.', r'stages.\1.\2.'),
            (r'head\.norm\.', 'norm3.'),
        ],
        unused=r'head\.fc\.'),
    # ConvNeXt of torchvision
    Layout(
        mark='features.1.0.block.0.weight',
        target='stages.0.0.depthwise_conv.weight',
        rules=[
            *((rf'features\.{2 * i}\.', f'downsample_layers.{i}.') for i in range(4)),
            *((rf'features\.{2 * i + 1}\.(\d+)\.{theirs}', rf'stages.{i}.\1.{ours}') for i in range(4)
              for theirs, ours in ((r'block\.0\.', 'depthwise_conv.'), (r'block\.2\.', 'norm.'),
                                   (r'block\.3\.', 'pointwise_conv1.'), (r'block\.5\.', 'pointwise_conv2.'),
                                   ('layer_scale', 'gamma'))),
            (r'classifier\.0\.', 'norm3.'),
        ],
        unused=r'classifier\.2\.'),
)


def rename_published(state: Dict[str, Tensor], target: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Tensors of a file under the names of the module that takes them, without what only served the pre-training.

    A file of another layout, or for another module, comes back as it is.

    Args:
        state: name in the file -> tensor.
        target: state dict of the module.
    """
    layout = next((layout for layout in LAYOUTS if layout.mark in state and layout.target in target), None)
    if layout is None:
        return state
    renamed = {_rename(name, layout.rules): value for name, value in state.items()
               if not re.match(layout.unused, name)}
    # torchvision keeps layer scale as (C, 1, 1)
    return {name: value.flatten() if name.endswith('.gamma') else value for name, value in renamed.items()}


def _rename(name: str, rules: List[Tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        if re.match(pattern, name):
            return re.sub(f'^{pattern}', replacement, name)
    return name
