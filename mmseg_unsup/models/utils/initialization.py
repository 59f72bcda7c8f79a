"""What the weights start from, checked and said in one line."""
import logging
from contextlib import contextmanager

from mmengine.logging import MMLogger, print_log
from mmengine.model import BaseModule
from mmengine.runner import CheckpointLoader
from torch import nn


@contextmanager
def quiet_init_weights(model: BaseModule):
    """Silence what mmengine says of every tensor while ``init_weights`` runs inside the block."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    model._dump_init_info = lambda: None  # it writes one paragraph a tensor past the logger, into its file
    try:
        yield
    finally:
        logger.setLevel(level)
        del model._dump_init_info


def check_backbone_initialization(backbone: BaseModule, allow_missing: bool = False) -> None:
    """Log ``init: 120/120 backbone tensors`` and raise when the pre-trained file left tensors of the backbone out.

    Args:
        backbone: initialised module; its ``init_cfg`` says from which file, if any.
        allow_missing: only log what is missing.

    Raises:
        ValueError: tensors are missing in the file or have another shape.
    """
    cfg = _pretrained_cfg(backbone)
    if cfg is None:
        print_log('init: random backbone (its init_cfg names no checkpoint)', logger='current')
        return
    source = _state_dict(cfg)
    target = backbone.state_dict()
    missing = [key for key in target if key not in source and not key.endswith('num_batches_tracked')]
    misshaped = [key for key in target if key in source and source[key].shape != target[key].shape]
    total = len(target)
    n_loaded = total - len(missing) - len(misshaped)
    print_log(f'init: {n_loaded}/{total} backbone tensors from {cfg["checkpoint"]}', logger='current')
    if (missing or misshaped) and not allow_missing:
        raise ValueError(
            f'{cfg["checkpoint"]} initialises only {n_loaded} of {total} backbone tensors; missing: '
            f'{missing[:3] or "none"}, of another shape: {misshaped[:3] or "none"}. Check depth and type of the '
            "backbone (ResNetV1c has a deep stem, plain checkpoints need type='ResNet') and the prefix in init_cfg, "
            'or set model.allow_missing=True')


def _pretrained_cfg(module: nn.Module):
    cfgs = getattr(module, 'init_cfg', None) or []
    for cfg in [cfgs] if isinstance(cfgs, dict) else cfgs:
        if cfg.get('type') == 'Pretrained':
            return cfg
    return None


def _state_dict(cfg: dict) -> dict:
    checkpoint = CheckpointLoader.load_checkpoint(cfg['checkpoint'], map_location='cpu', logger=None)
    state = checkpoint.get('state_dict', checkpoint)
    prefix = cfg.get('prefix') or ''
    if prefix and not prefix.endswith('.'):
        prefix += '.'
    return {key[len(prefix):]: value for key, value in state.items() if key.startswith(prefix)}
