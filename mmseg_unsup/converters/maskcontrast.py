"""Checkpoints of the released MaskContrast code, as those of this package.

Expected names: ``module.model_q.`` and ``module.model_k.`` before ``backbone.``, ``decoder.0`` to ``decoder.2``
(torchvision's DeepLabV3 head without its classifier), ``head.`` and ``classification_head.``; ``module.queue`` (D, K).
"""
import re
from collections import OrderedDict

import torch
from mmengine.config import Config
from torch import Tensor

from .files import check_tensors

_HEAD = 'decode_head.'
# released name -> ours, inside a branch
NAMES = (
    (r'backbone\.(?!fc\.)(.+)', r'backbone.\1'),
    (r'decoder\.0\.convs\.([0-3])\.0\.(.+)', _HEAD + r'aspp.branches.\1.conv.\2'),
    (r'decoder\.0\.convs\.([0-3])\.1\.(.+)', _HEAD + r'aspp.branches.\1.bn.\2'),
    (r'decoder\.0\.convs\.4\.1\.(.+)', _HEAD + r'aspp.image_mean.conv.\1'),
    (r'decoder\.0\.convs\.4\.2\.(.+)', _HEAD + r'aspp.image_mean.bn.\1'),
    (r'decoder\.0\.project\.0\.(.+)', _HEAD + r'aspp.project.conv.\1'),
    (r'decoder\.0\.project\.1\.(.+)', _HEAD + r'aspp.project.bn.\1'),
    (r'decoder\.1\.(.+)', _HEAD + r'smooth.conv.\1'),
    (r'decoder\.2\.(.+)', _HEAD + r'smooth.bn.\1'),
    (r'head\.(weight|bias)', _HEAD + r'embedding.\1'),
    (r'classification_head\.(weight)', _HEAD + r'saliency.\1'),
)
BRANCHES = (('model_q.', ''), ('model_k.', 'key_branch.module.'))
# what a model makes anew
NOT_NEEDED = re.compile(r'num_batches_tracked$|^queue\.|^object_')


def convert(checkpoint: dict) -> 'OrderedDict[str, Tensor]':
    """A released checkpoint -> the state dict of :class:`mmseg_unsup.MaskContrast`.

    Raises:
        ValueError: it is no such checkpoint, or holds a tensor of an unknown name.
    """
    released = _state_dict(checkpoint)
    state = OrderedDict()
    for key, value in released.items():
        for branch, prefix in BRANCHES:
            if key.startswith(branch) and not key.startswith(f'{branch}backbone.fc.'):
                state[prefix + _rename(key[len(branch):])] = value
    has_key = any(key.startswith('model_k.') for key in released)
    if not has_key:
        state.update([(f'key_branch.module.{key}', value.clone()) for key, value in state.items()])
    state['key_branch.steps'] = torch.tensor(int(has_key))  # with 0 training would start from a copy
    if 'queue' in released:
        state['queue.prototypes'] = released['queue'].t().contiguous()
        state['queue.pointer'] = released.get('queue_ptr', torch.zeros(1)).reshape(()).long()
    return state


def _state_dict(checkpoint: dict) -> dict:
    """The weights without ``module.``, wherever the file keeps them."""
    if isinstance(checkpoint, dict):
        parts = (checkpoint.get('model'), checkpoint.get('state_dict'), checkpoint)
        weights = next(part for part in parts if isinstance(part, dict))
        released = {str(key).removeprefix('module.'): value for key, value in weights.items()}
        if any(key.startswith('model_q.') for key in released):
            return released
    raise ValueError('not a checkpoint of the released MaskContrast code: no tensor is named module.model_q.*')


def _rename(key: str) -> str:
    for pattern, ours in NAMES:
        if re.fullmatch(pattern, key):
            return re.sub(pattern, ours, key)
    raise ValueError(f'the checkpoint holds model_q.{key}, a name that the released MaskContrast code does not have')


def check_fits(state: dict, cfg: Config) -> str:
    """Compare a converted state dict with the model of a config; a line on what it holds.

    Raises:
        ValueError: length of the queue, missing, unknown or misshaped tensors, in this order.
    """
    length = len(state.get('queue.prototypes', ()))
    if length and length != cfg.model.queue_length:
        raise ValueError(f'the checkpoint has a queue of {length} prototypes, but the config one of '
                         f'{cfg.model.queue_length}: give a --config with model.queue_length={length}')
    check_tensors(state, cfg, NOT_NEEDED)
    n_backbone, n_head = (sum(key.startswith(prefix) for key in state) for prefix in ('backbone.', _HEAD))
    key_branch = 'its key branch' if state['key_branch.steps'] else 'no key branch (copied)'
    return (f'ResNet-{cfg.model.backbone.depth} ({n_backbone} tensors), head ({n_head}), {key_branch}, '
            f'{f"queue of {length}" if length else "no queue"}')
