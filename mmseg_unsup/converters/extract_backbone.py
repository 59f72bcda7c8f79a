"""The backbone of a checkpoint as a plain file for other code: the work of ``mmseg-unsup extract-backbone``."""
import importlib
import os.path as osp
from typing import Dict, List, Optional, Tuple

import torch
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from ..engine.checkpoint_files import existing_checkpoint
from ..hosts.safe_loading import load_safely
from ..weights import check_identity, match_tensors, read_part, resnet_depth
from ..weights.pretrained_file import PretrainedPart, as_checkpoint_tensor
from ..weights.tensor_files import check_writable, write_weights
from ..weights.tensor_match import explain
from ..weights.weights_seen import stated_labels
from ..registry import MODELS
from ..utils import load_config
from ..utils.atomic import replacing
from ..utils.stored_config import check_stored
from .files import refuse_existing

FORMATS = ('mmseg', 'torchvision', 'mmpretrain', 'timm')
# which weights of a run with a teacher -> whether the averaged ones
WEIGHTS = dict(auto=None, trained=False, averaged=True)
# of mmseg's ResNet, what mmpretrain's has too
_COMMON_SETTINGS = ('depth', 'in_channels', 'stem_channels', 'base_channels', 'strides', 'dilations', 'style')


def backbone_config(pretrained: PretrainedPart, config: Optional[str] = None) -> dict:
    """Settings of the backbone, from a config file or from the config that the checkpoint holds, which may name nothing
    but registered types."""
    model = load_config(config).model if config else pretrained.config.get('model') or {}
    if 'backbone' not in model:
        raise ValueError(f'{pretrained.source} does not hold the config of its run: give it with --config')
    cfg = dict(model['backbone'].get('backbone') or model['backbone'], init_cfg=None)  # what is frozen
    if not config:
        check_stored(cfg, 'model.backbone', pretrained.source)
    if cfg.get('norm_cfg', {}).get('type') == 'SyncBN':  # which computes on GPUs only
        cfg['norm_cfg'] = dict(type='BN')
    return cfg


def build_reference(pretrained: PretrainedPart, cfg: dict) -> nn.Module:
    """The backbone that the checkpoint is of, if its tensors are those of the config."""
    backbone = MODELS.build(cfg)
    match = match_tensors(pretrained, backbone.state_dict())
    if not match.is_complete:
        raise ValueError(explain(match))
    backbone.load_state_dict(pretrained.state, strict=False)
    check_identity(backbone, pretrained)
    backbone.eval()
    return backbone


def check_is_resnet(cfg: dict, state: Dict[str, Tensor], form: str) -> None:
    """Raise ValueError for what is not a ResNet with a plain stem."""
    if cfg['type'].split('.')[-1] != 'ResNet' or resnet_depth(state) is None or 'conv1.weight' not in state:
        raise ValueError(f'--format {form} is for backbones of type ResNet with a plain stem, but this one is of type '
                         f'{cfg["type"]!r}: use --format mmseg')


def load_back(path: str, form: str, cfg: dict) -> Tuple[nn.Module, str]:
    """A model of the format's own code with the weights of a written file, and the name of that code."""
    depth, content = cfg.get('depth'), load_safely(path, 'cpu')
    if form == 'mmseg':
        model = MODELS.build(dict(cfg, init_cfg=dict(type='Pretrained', checkpoint=path)))
        model.init_weights()
        return model, 'mmseg'
    try:
        library = importlib.import_module(form)
        model = _foreign_model(library, form, depth, cfg)
    except (ImportError, RuntimeError) as error:  # a torchvision for CUDA raises RuntimeError beside a torch for CPUs
        reason = str(error).strip().splitlines()[0][:100]
        style = cfg.get('style', 'pytorch') if form == 'mmpretrain' else 'pytorch'
        model = MODELS.build(dict(type='ResNet', depth=depth, style=style, norm_cfg=dict(type='BN')))
        name = f"mmseg's ResNet with {form}'s settings, as {form} cannot be imported ({reason})"
    else:
        name = f'{form} {library.__version__}'
    state = content['state_dict'] if form == 'mmpretrain' else content
    state = {key.removeprefix('backbone.'): value for key, value in state.items()}
    left = model.load_state_dict(state, strict=False)
    lacking = [key for key in left.missing_keys if not key.startswith('fc.')]
    if lacking or left.unexpected_keys:
        raise ValueError(f'{name} does not take the names of the file; missing: {lacking[:3] or "none"}, unknown: '
                         f'{left.unexpected_keys[:3] or "none"}')
    return model, name


def _is_of_mmpretrain(cfg: dict) -> bool:
    return cfg['type'].startswith('mmpretrain.')


def _foreign_model(library, form: str, depth: int, cfg: dict) -> nn.Module:
    if form == 'mmpretrain' and _is_of_mmpretrain(cfg):
        return MODELS.build(cfg)
    if form == 'mmpretrain':
        settings = {key: cfg[key] for key in _COMMON_SETTINGS if key in cfg}
        return importlib.import_module('mmpretrain.models').ResNet(out_indices=(0, 1, 2, 3), **settings)
    if form == 'torchvision':
        return getattr(importlib.import_module('torchvision.models'), f'resnet{depth}')()
    return library.create_model(f'resnet{depth}', num_classes=0)


@torch.no_grad()
def features(model: nn.Module, images: Tensor) -> List[Tensor]:
    """The levels of a backbone of mmseg or mmpretrain, or the four stages of a ResNet of torchvision or timm."""
    if not hasattr(model, 'fc'):
        return list(model(images))
    activation = model.relu if hasattr(model, 'relu') else model.act1
    outputs = [model.maxpool(activation(model.bn1(model.conv1(images))))]
    for i in range(1, 5):
        outputs.append(getattr(model, f'layer{i}')(outputs[-1]))
    return outputs[1:]


def verify(path: str, form: str, reference: nn.Module, cfg: dict) -> str:
    """Make sure that a written file gives the features of the checkpoint, bit by bit; what it was verified with."""
    model, name = load_back(path, form, cfg)
    model.eval()
    images = torch.randn(2, 3, 96, 64, generator=torch.Generator().manual_seed(0))
    expected, found = features(reference, images), features(model, images)
    if any(level.min() == level.max() for level in expected):  # equal to those of any other dead network
        raise ValueError('the features of the checkpoint are constant on random images, so nothing can be verified: '
                         'its training has diverged; take another checkpoint')
    if len(expected) != len(found):  # the config may take some of the levels only
        found = [found[i] for i in cfg.get('out_indices', range(4))]
    if any(a.shape != b.shape or not torch.equal(a, b) for a, b in zip(expected, found)):
        raise ValueError(f'the features in {name} differ from those of the checkpoint: its backbone has other settings '
                         f'(style, strides, dilations or widths) than --format {form} can express; use --format mmseg')
    return name


def extract_backbone(source: str, target: str, form: str, weights: str = 'auto', config: Optional[str] = None,
                     seen: Optional[str] = None, force: bool = False) -> str:
    """Write and verify; a line on what was done.

    Args:
        source: checkpoint of a run.
        target: file to write, of safetensors if its name ends so; replaced with ``force`` only.
        form: one of :data:`FORMATS`.
        weights: one of :data:`WEIGHTS`.
        config: of the run, if the checkpoint does not hold it.
        seen: labels that the weights have seen, if the checkpoint does not say it.
    """
    refuse_existing(target, force, [source])
    check_writable(target)
    init_default_scope('mmseg')
    path = source if '://' in source else existing_checkpoint(source)
    pretrained = read_part(path, 'backbone', averaged=WEIGHTS[weights])
    cfg = backbone_config(pretrained, config)
    if form != 'mmseg' and not (form == 'mmpretrain' and _is_of_mmpretrain(cfg)):
        check_is_resnet(cfg, pretrained.state, form)
    reference = build_reference(pretrained, cfg)
    state = {name: as_checkpoint_tensor(value) for name, value in reference.state_dict().items()}
    labels = stated_labels(seen) if seen and pretrained.seen == 'unknown' else pretrained.seen
    meta = dict(weights_seen=labels, source=osp.basename(source), tensors=pretrained.prefix)
    prefix = 'backbone.' if form == 'mmpretrain' else ''
    written = {f'{prefix}{name}': value for name, value in state.items()}
    with replacing(target) as part:
        write_weights(part, written, None if form in ('torchvision', 'timm') else meta, target)
        name = verify(part, form, reference, cfg)
    return (f'wrote {target}: {len(state)} backbone tensors of {pretrained}; labels: {labels}; equal features, bit by '
            f'bit, in {name}')
