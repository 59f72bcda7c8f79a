"""Released checkpoints of methods on frozen features, as models of this package."""
import os.path as osp
import re
from typing import Dict, Optional, Sequence, Tuple

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from ..models.segmentors.released_segmentor import LINEAR
from ..registry import MODELS
from ..utils import load_config
from ..utils.atomic import replacing, write_from_memory
from ..weights import known_network, read_part
from ..weights.pretrained_file import PretrainedPart
from .files import refuse_existing
from .released_layouts import LAYOUTS, ReleasedParts, read_released

_CONFIG = 'mmseg_unsup::_base_/released.py'
_OPTION = '--backbone FILE'
_BACKBONE = f'give the weights of its backbone by {_OPTION}'


def convert_released(method: str, paths: Sequence[str], target: str, backbone: Optional[str] = None,
                     force: bool = False) -> str:
    """Write a released checkpoint as a model of this package; a line on what it holds.

    Args:
        method, paths: see :func:`read_released`.
        backbone: file of the backbone's weights, where the checkpoint has none.
        force: replace ``target`` if it is there.

    Raises:
        FileExistsError: ``target`` is there.
        ValueError: ``target`` is one of the files that are read; see :func:`read_released` and :func:`build_released`.
    """
    refuse_existing(target, force, [*paths, *filter(None, [backbone])])
    parts = read_released(method, paths)
    cfg, model = build_released(parts, backbone)
    write_released(parts, cfg, model, target)
    return f'wrote {target}: {describe(parts, model)}'


def describe(parts: ReleasedParts, model: nn.Module) -> str:
    """``'STEGO, 27 clusters of codes of 70 channels, a linear probe of 27 classes, frozen DINOViT FINGERPRINT'``"""
    network = model.backbone
    probe = f'a linear probe of {parts.n_classes} classes, ' if LINEAR in parts.sets else ''
    return (f'{parts.title}, {parts.n_clusters} clusters of codes of {parts.channels} channels, {probe}frozen '
            f'{type(network.network).__name__} {network.fingerprint}')


def write_released(parts: ReleasedParts, cfg: Config, model: nn.Module, target: str) -> None:
    """Write a model of :func:`build_released` as a checkpoint that all commands take."""
    meta = dict(epoch=0, iter=0, cfg=cfg.pretty_text, weights_seen=labels_seen(parts.method),
                released=dict(method=parts.method, source=[osp.basename(path) for path in parts.source.split(' and ')],
                              n_classes=parts.n_classes))
    with replacing(target) as part:
        write_from_memory(part, lambda file: torch.save(dict(meta=meta, state_dict=model.state_dict()), file))


def labels_seen(method: str) -> str:
    """What ``weights_seen`` of a converted checkpoint says: the released step 3 of CAUSE trains its head on labels."""
    return 'labels of its data set' if method == 'cause' else 'none'


def build_released(parts: ReleasedParts, backbone: Optional[str] = None) -> Tuple[Config, nn.Module]:
    """The model of a released checkpoint with its weights, and its config.

    Args:
        backbone: file of the backbone's weights, where the checkpoint has none.

    Raises:
        ValueError: there are no weights of a backbone, or two; it is of another kind, or its width is not that of the
            head; a tensor is missing or of another shape.
    """
    weights = _backbone_of(parts, backbone)
    network = known_network(weights, _BACKBONE, only_transformers=True)
    outputs = parts.outputs(len({name.split('.')[1] for name in weights.state if re.match(r'blocks\.\d+\.', name)}))
    _check_width(parts, weights, len(outputs))
    cfg = _config(parts, network, outputs)
    init_default_scope(cfg.default_scope)
    try:
        model = MODELS.build(cfg.model)
        model.load_state_dict(_state(parts, weights.state), strict=True)
    except (RuntimeError, ValueError) as error:
        lines = str(error).splitlines()  # torch has a title above a line for each thing
        reason = ' '.join(lines[min(1, len(lines) - 1)].split()).rstrip('.')
        raise ValueError(f'{parts.source} does not fit the model that its tensors describe, {reason[:300]}: take the '
                         'files of one checkpoint as its authors published them') from None
    return cfg, model.eval()


def _backbone_of(parts: ReleasedParts, path: Optional[str]) -> PretrainedPart:
    if parts.backbone and path is not None:
        raise ValueError(f'{parts.source} holds the weights of its backbone, and --backbone names others, {path}: '
                         'leave --backbone out')
    if parts.backbone:
        return PretrainedPart(parts.source, 'backbone', parts.backbone, LAYOUTS[parts.method].backbone, 'none', {},
                              False)
    if path is None:
        raise ValueError(f'{parts.source} does not hold the weights of its backbone: {_BACKBONE}')
    return read_part(path, option=_OPTION)


def _check_width(parts: ReleasedParts, weights: PretrainedPart, n_outputs: int) -> None:
    found = n_outputs * weights.state['cls_token'].size(-1)
    if found != parts.width:
        raise ValueError(f'{parts.source} is made for features of {parts.width} channels, but those of {weights} have '
                         f'{found}: it is of another backbone, {_BACKBONE}')


def _config(parts: ReleasedParts, network: dict, outputs: Sequence[str]) -> Config:
    cfg = load_config(_CONFIG, dict(n_clusters=parts.n_clusters))
    cfg.model.backbone.backbone = network
    cfg.model.backbone.out = list(outputs)
    head = cfg.model.decode_head
    head.in_channels, head.n_clusters = parts.channels, parts.n_clusters
    head.clusters = {name: found.config for name, found in parts.sets.items()}
    cfg.model.neck = None if parts.neck is None else dict(
        parts.neck, in_channels=parts.width, out_channels=parts.channels, **_sizes(parts, len(outputs)))
    if parts.codebook is not None:
        cfg.model.n_codes = len(parts.codebook)
    return cfg


def _sizes(parts: ReleasedParts, n_outputs: int) -> dict:
    """What else the neck of a config has by the tensors."""
    if parts.codebook is None:
        return {} if n_outputs == 1 else dict(in_index=list(range(n_outputs)))
    state = parts.neck_state
    return dict(n_cells=len(state['query_pos']), hidden_channels=len(state['linear1.weight']))


def _state(parts: ReleasedParts, backbone: Dict[str, Tensor]) -> Dict[str, Tensor]:
    clusters = 'decode_head.clusters.'
    state = {f'{clusters}fresh.weight': torch.zeros(0, parts.channels)}
    state.update((f'backbone.{name}', value) for name, value in backbone.items())
    state.update((f'neck.{name}', value) for name, value in parts.neck_state.items())
    state.update({} if parts.codebook is None else {'codebook.weight': parts.codebook})
    state.update((f'{clusters}{name}.{key}', value) for name, found in parts.sets.items()
                 for key, value in found.state.items())
    return state
