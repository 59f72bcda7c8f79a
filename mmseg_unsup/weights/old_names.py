"""Names that tensors had in checkpoints of earlier versions."""
import re
from typing import Dict, List, Tuple

from torch import Tensor

# pattern of a name -> its present name
_RENAMED = [(re.compile(pattern), name) for pattern, name in (
    (r'^labeller\.', 'target_generator.'),
    (r'^decode_head\.fresh_prototypes$', 'decode_head.clusters.fresh.weight'),
    (r'^decode_head\.(classifiers\.|running_loss$)', r'decode_head.clusters.classifier.\1'),
    (r'^over_head\.(classifiers\.|running_loss$)', r'decode_head.clusters.over1_classifier.\1'),
    (r'^object_(weight|bias)$', r'object_clusters.objects.\1'))]
# prototypes and their weights lay in one tensor for all views
_STACKED = re.compile(r'^(decode_head|over_heads\.(\d+))\.(prototypes|class_weights)$')
# of heads that only trained
_UNUSED = re.compile(r'^over_heads?\.(\d+\.)?fresh_prototypes$')


def renamed_state(state: Dict[str, Tensor], prefix: str = '') -> Dict[str, Tensor]:
    """A state dict with the present names of its tensors; those that have one already are left alone.

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
    for pattern, new in _RENAMED:
        name = pattern.sub(new, name)
    return [(name, value)]
