"""The backbone or neck in a file of weights, whoever wrote it."""
import os.path as osp
import pickle
import re
import zipfile
from collections import Counter
from dataclasses import dataclass, replace
from typing import Dict, Optional

import torch
from mmengine.runner import CheckpointLoader
from torch import Tensor

from ..hosts.published_weights import damaged_record
from ..hosts.safe_loading import COPY_AGAIN, RefusedGlobal, UnreadableCheckpoint, refusal_of
from ..utils.config_text import parse_config_text
from ..utils.old_names import present_config
from ..utils.stored_config import frozen_weights
from .identity import MASK_TOKEN, identity_text
from .tensor_names import rename_published, renamed_state
from .weights_seen import weights_seen

# what files of whole networks hold beside the backbone: classifiers of torchvision, timm, mmpretrain; what only served
# the pre-training of MAE, DINOv2 and DINOv3
_UNUSED = re.compile(r'^((fc|head|classifier|head_dist|local_cls_norm)\.|decoder_|mask_token$)')
# the backbone in checkpoints of self-supervised methods: MoCo (beside it lies its moving average, encoder_k)
_TEACHER = 'target_generator.'
_ENCODERS = ('encoder_q.', )
_OPTION = '--cfg-options init=PATH'


@dataclass
class PretrainedPart:
    """Tensors of one part of a network, by the names that they have in the part itself.

    Attributes:
        state: name -> tensor; empty if the file holds a plain backbone and the part is another one.
        prefix: that their names had in the file.
        seen: labels that they have seen, see :func:`weights_seen`.
        config: of the run that wrote the file, as plain values; empty if the file does not hold it.
        is_ours: the file was written by this package.
        identity: that a module must have with these weights (:func:`weights_identity`), where another file says it.
    """
    source: str
    part: str
    state: Dict[str, Tensor]
    prefix: str
    seen: str
    config: dict
    is_ours: bool
    identity: Optional[str] = None

    def __str__(self) -> str:
        return f'{self.source} ({self.prefix}*)' if self.prefix else self.source


def read_part(source: str,
              part: str = 'backbone',
              prefix: Optional[str] = None,
              averaged: Optional[bool] = None,
              target: Optional[Dict[str, Tensor]] = None,
              follows: bool = True,
              option: Optional[str] = None) -> PretrainedPart:
    """Read one part of a network from a file.

    A file whose names have a part in front (``backbone.conv1.weight``) is a checkpoint of a whole model; any other one
    is a plain backbone. Classifiers, and what else only served the pre-training, are left out.

    Args:
        source: path, URL, or ``torchvision://NAME``.
        part: ``'backbone'`` or ``'neck'``.
        prefix: of the names; None finds it.
        averaged: of a checkpoint with a teacher, take the teacher's weights (True) or the trained ones (False). None
            takes those by which the run predicts and is scored: the teacher's where it is a moving average.
        target: state dict of the module that takes the tensors; the names of layouts that are known
            (:mod:`tensor_names`) become its names.
        follows: of a frozen backbone, read the file that the config of its checkpoint names.
        option: of the command that was given the file, for messages; None for ``init`` of a config.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file cannot be read, or holds no such part or values that are no numbers.
    """
    checkpoint = _load(source, option)
    meta = checkpoint.get('meta') if isinstance(checkpoint.get('meta'), dict) else {}
    config = present_config(parse_config_text(meta['cfg'])) if isinstance(meta.get('cfg'), str) else {}
    state = _tensors(checkpoint, source, option)
    is_whole = any(name.startswith(('backbone.', f'{_TEACHER}backbone.')) for name in state)
    if prefix is None and is_whole:
        prefix = _part_prefix(state, source, part, averaged, config)
    elif prefix is None and part == 'backbone':
        prefix = next((encoder for encoder in _ENCODERS if any(name.startswith(encoder) for name in state)), None)
    prefix = f'{prefix.removeprefix("module.").rstrip(".")}.' if prefix else ''
    if prefix:
        selected = {name[len(prefix):]: value for name, value in state.items() if name.startswith(prefix)}
        if not selected:
            raise ValueError(f'{source} has no tensor whose name begins with {prefix!r}, but {_prefixes(state)}: set '
                             f'prefix in the init_cfg of the {part}, or leave it out to have it found')
    else:
        selected = state if part == 'backbone' else {}
    if part == 'backbone':
        identity = selected.pop('identity', None) if prefix else None
        if identity is not None and not selected and follows:
            return _read_frozen(source, config, identity, meta, target)
        kept = (MASK_TOKEN, ) if target is None else target
        selected = {name: value for name, value in rename_published(selected, target or {}).items()
                    if name in kept or not _UNUSED.match(name)}
    broken = [name for name, value in selected.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise ValueError(f'{source} holds values that are no finite numbers in {len(broken)} of {len(selected)} {part} '
                         f'tensors, such as {broken[0]}: the training that wrote it diverged or the file is corrupted; '
                         f'{_remedy(option)}')
    is_ours = 'weights_seen' in meta or str((config.get('model') or {}).get('type')).startswith('mmseg_unsup.')
    return PretrainedPart(source, part, selected, prefix, weights_seen(source, meta), config, is_ours)


def _read_frozen(source: str, config: dict, identity: Tensor, meta: dict, target: Optional[Dict[str, Tensor]]
                 ) -> PretrainedPart:
    """The weights of a frozen backbone, which its checkpoint has not, from the file that its config names."""
    init_cfg = frozen_weights((config.get('model') or {}).get('backbone'), source) or {}
    named = init_cfg.get('checkpoint')
    digits = identity_text(identity)
    lacking = f'{source} is of a frozen backbone and does not hold its weights {digits}, '
    if not named:
        raise ValueError(f'{lacking}nor does its config say where they are: name their file in its place')
    try:
        found = read_part(named, 'backbone', init_cfg.get('prefix'), init_cfg.get('averaged'), target, follows=False)
    except FileNotFoundError:
        raise ValueError(f'{lacking}whose file {named} is not there: name their file in its place') from None
    return replace(found, seen=weights_seen(source, meta), config=config, is_ours=True, identity=digits)


def _remedy(option: Optional[str]) -> str:
    return f'copy or download it again, or name another one ({option or _OPTION})'


def _load(source: str, option: Optional[str]) -> dict:
    try:
        checkpoint = CheckpointLoader.load_checkpoint(source, map_location='cpu', logger='silent')
    except FileNotFoundError:
        remedy = f'name another one ({option})' if option else (
            f'set init ({_OPTION}), or init=None to start from random weights')
        raise FileNotFoundError(f'there is no file of weights {source!r}: {remedy}') from None
    except RefusedGlobal as error:
        if option is None:
            raise
        raise refusal_of(source, error.name, f'Name another file ({option})') from None
    except (UnreadableCheckpoint, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, AttributeError,
            zipfile.BadZipFile) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        stated = '' if source in reason else f'{source} cannot be read as a file of weights: '
        guess = '' if reason.endswith(COPY_AGAIN) else ': it is cut off, corrupted or of another kind'
        raise ValueError(f'{stated}{reason.removesuffix(COPY_AGAIN)}{guess}; {_remedy(option)}') from None
    damaged = damaged_record(osp.expanduser(source))
    if damaged:
        raise ValueError(f'{source} is corrupted: the checksum of {damaged} is wrong; {_remedy(option)}')
    if not isinstance(checkpoint, dict):
        raise ValueError(f'{source} holds a {type(checkpoint).__name__}, not a dict of tensors: {_remedy(option)}')
    return checkpoint


def _tensors(checkpoint: dict, source: str, option: Optional[str]) -> Dict[str, Tensor]:
    state = next((checkpoint[key] for key in ('state_dict', 'model', 'teacher')
                  if isinstance(checkpoint.get(key), dict)), checkpoint)
    tensors = {name.removeprefix('module.'): value for name, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ValueError(f'{source} holds no tensors but {sorted(map(str, state))[:3]}: {_remedy(option)}')
    tensors = renamed_state(tensors)
    # early versions of torch saved the counters of batch norm with one dimension
    return {name: value.reshape(()) if name.endswith('num_batches_tracked') else value
            for name, value in tensors.items()}


def _part_prefix(state: Dict[str, Tensor], source: str, part: str, averaged: Optional[bool], config: dict) -> str:
    has_teacher = any(name.startswith(f'{_TEACHER}{part}.') for name in state)  # of parts that train
    if averaged is None:  # the config of the run says whether its teacher is an average
        teacher = (config.get('model') or {}).get('target_generator') or {}
        averaged = has_teacher and teacher.get('epochs') is not None
    elif averaged and not has_teacher:
        raise ValueError(f'averaged=True, but {source} has no teacher, only {_prefixes(state)}: leave averaged out')
    prefix = f'{_TEACHER}{part}.' if averaged else f'{part}.'
    if not any(name.startswith(prefix) for name in state):
        remedy = f'set model.{part}.init_cfg=None to start it from random weights, or name another file'
        raise ValueError(f'{source} has no tensor of a {part} ({prefix}*), but {_prefixes(state)}: {remedy}')
    return prefix


def _prefixes(state: Dict[str, Tensor]) -> str:
    """``backbone. (120), neck. (8)``"""
    counts = Counter('.'.join(name.split('.')[:2 if name.startswith(_TEACHER) else 1]) for name in state)
    listed = [f'{prefix}. ({count})' for prefix, count in counts.most_common(6)]
    return ', '.join(listed) + (', ...' if len(counts) > 6 else '')


def first_words(state: Dict[str, Tensor]) -> str:
    """What the names of the tensors of a file begin with, up to four of them."""
    return ', '.join(sorted({name.split('.')[0] for name in state})[:4])


def resnet_depth(state: Dict[str, Tensor]) -> Optional[int]:
    """Depth of a ResNet by its blocks, None where there is no such ResNet."""
    from mmseg.models.backbones import ResNet
    blocks = tuple(
        len({name.split('.')[1] for name in state if name.startswith(f'layer{i}.')}) for i in range(1, 5))
    expansion = 4 if 'layer1.0.conv3.weight' in state else 1
    for depth, (block, stages) in ResNet.arch_settings.items():
        if stages == blocks and block.expansion == expansion:
            return depth
    return None


def as_checkpoint_tensor(value: Tensor) -> Tensor:
    """A copy in ordinary memory order that shares nothing with a larger storage, which torch would save whole."""
    return value.detach().cpu().clone(memory_format=torch.contiguous_format)
