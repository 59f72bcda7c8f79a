"""Names of tensors in files of earlier versions, and of backbones that other code published, -> names of today.

The latter become those that mmpretrain gives them.
"""
import re
from typing import Dict, List, NamedTuple, Sequence, Tuple

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
# of earlier versions: pattern of a name -> its present name
_RENAMED = (
    (r'labeller\.', 'target_generator.'),
    (r'decode_head\.fresh_prototypes$', 'decode_head.clusters.fresh.weight'),
    (r'decode_head\.(classifiers\.|running_loss$)', r'decode_head.clusters.classifier.\1'),
    (r'over_head\.(classifiers\.|running_loss$)', r'decode_head.clusters.over1_classifier.\1'),
    (r'object_(weight|bias)$', r'object_clusters.objects.\1'))
# prototypes and their weights lay in one tensor for all views
_STACKED = re.compile(r'^(decode_head|over_heads\.(\d+))\.(prototypes|class_weights)$')
# of heads that only trained
_UNUSED = re.compile(r'^over_heads?\.(\d+\.)?fresh_prototypes$')


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


def _rename(name: str, rules: Sequence[Tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        if re.match(pattern, name):
            return re.sub(f'^{pattern}', replacement, name)
    return name


def renamed_state(state: Dict[str, Tensor], prefix: str = '') -> Dict[str, Tensor]:
    """A state dict of an earlier version under the present names; tensors that have one already are left alone.

    Args:
        prefix: that all names have in front.
    """
    renamed = {}
    for name, value in state.items():
        own = name[len(prefix):]
        if not _UNUSED.match(own):
            renamed.update((prefix + new, tensor) for new, tensor in _present(own, value))
    return renamed


def _present(name: str, value: Tensor) -> List[Tuple[str, Tensor]]:
    stacked = _STACKED.match(name)
    if stacked:
        level = f'over{int(stacked[2]) + 1}_' if stacked[2] else ''
        kind = 'weight' if stacked[3] == 'prototypes' else stacked[3]
        return [(f'decode_head.clusters.{level}view{v + 1}.{kind}', of_view) for v, of_view in enumerate(value)]
    return [(_rename(name, _RENAMED), value)]
