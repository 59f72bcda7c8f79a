"""What the weights start from: loaded, checked and said in one line."""
import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Dict, List, Optional

import torch
from mmengine.logging import MMLogger, print_log
from mmengine.model import BaseModule
from mmengine.runner import load_state_dict
from mmseg.models.backbones import ResNet
from torch import Tensor, nn

from ..registry import MODELS, WEIGHT_INITIALIZERS
from ..utils.console import say
from .identity import identity_text, weights_identity
from .pretrained_file import PretrainedPart, read_part
from .tensor_match import TensorMatch, explain, match_tensors
from .weights_seen import NOTHING

_LINE = 'init: '


@dataclass
class Initialization:
    """How a module was initialised, kept as its attribute ``initialization``.

    Attributes:
        source: file.
        seen: labels that its weights have seen.
        sums: name -> sum over the bytes of a loaded tensor.
    """
    source: str
    seen: str
    sums: Dict[str, int]


class _PretrainedPartInit:
    """Load one part of a model from a file, entirely or not at all.

    Args:
        checkpoint: path, URL or ``torchvision://NAME``; of this package, of any segmentor, or of a plain backbone.
        prefix, averaged: which tensors of the file, see :func:`read_part`.
        allow_missing: accept tensors that are missing from the file, unknown to the model or of another shape.

    Raises:
        ValueError: the file is unreadable or does not fit; with the likely cause.
    """

    part = ''

    def __init__(self,
                 checkpoint: str,
                 prefix: Optional[str] = None,
                 averaged: Optional[bool] = None,
                 allow_missing: bool = False) -> None:
        if not checkpoint:
            raise ValueError(f'init_cfg of the {self.part} has checkpoint={checkpoint!r}: name a file, or set '
                             f'model.{self.part}.init_cfg=None to start from random weights')
        self.checkpoint, self.prefix, self.averaged = checkpoint, prefix, averaged
        self.allow_missing = allow_missing

    def match(self, module: nn.Module) -> Optional[TensorMatch]:
        """The tensors of the file beside those of a module, which may be one without memory; None where the file has
        nothing for this part."""
        pretrained = read_part(self.checkpoint, self.part, self.prefix, self.averaged, module.state_dict())
        if not pretrained.state:  # a plain backbone has nothing for a neck
            return None
        _fit_positions(pretrained, module)
        return _complete(match_tensors(pretrained, module.state_dict()), self.allow_missing)

    def __call__(self, module: nn.Module) -> None:
        match = self.match(module)
        if match is None:
            say(f'{_LINE}random {self.part}, as {self.checkpoint} is a plain backbone')
            return
        _tell(match)
        pretrained = match.pretrained
        load_state_dict(module, {name: pretrained.state[name] for name in match.loaded}, strict=False, logger=None)
        check_identity(module, pretrained)
        _keep(module, match)
        current = module.state_dict()
        sums = {name: _byte_sum(current[name]) for name in match.loaded}
        module.initialization = Initialization(str(pretrained), pretrained.seen, sums)
        if _initialises_itself(module):  # those of mmpretrain overwrite tensors later unless they see this type
            module.init_cfg = dict(type='Pretrained', checkpoint=self.checkpoint)


@WEIGHT_INITIALIZERS.register_module()
class PretrainedBackbone(_PretrainedPartInit):
    __doc__ = _PretrainedPartInit.__doc__
    part = 'backbone'


@WEIGHT_INITIALIZERS.register_module()
class PretrainedNeck(_PretrainedPartInit):
    __doc__ = _PretrainedPartInit.__doc__
    part = 'neck'


def _fit_positions(pretrained: PretrainedPart, module: nn.Module) -> None:
    """Bring position embeddings to the grid of a vision transformer of mmpretrain, as that does it on loading."""
    positions = pretrained.state.get('pos_embed')
    if positions is None or not hasattr(module, '_prepare_pos_embed'):
        return
    try:
        module._prepare_pos_embed(pretrained.state, '')
    except AssertionError:
        fitted = positions
    else:
        fitted = pretrained.state['pos_embed']
    if fitted.size(1) != module.pos_embed.size(1):
        raise ValueError(f'pos_embed of {pretrained}, {tuple(positions.shape)}, holds no square grid of positions '
                         f'and {module.num_extra_tokens} more: set model.backbone.with_cls_token as in the '
                         'pre-training, or name another file')
    if fitted.shape != positions.shape:
        say(f'{_LINE}{positions.size(1)} position embeddings interpolated to {fitted.size(1)}')


def check_backbone_file(backbone: dict) -> Optional[nn.Module]:
    """Raise as loading would if the file that ``init_cfg`` of a backbone names does not fit, before anything is made.

    Args:
        backbone: config; of one of mmpretrain, or whose ``init_cfg`` is of another package, the file is only read.

    Returns:
        the network, without memory; None where it was not built.
    """
    init_cfg = backbone.get('init_cfg')
    if not init_cfg:
        return None
    if backbone['type'].startswith('mmpretrain.') or init_cfg.get('type') != 'mmseg_unsup.PretrainedBackbone':
        read_part(init_cfg['checkpoint'], prefix='')
        return None
    with torch.device('meta'):
        module = MODELS.build(dict(backbone))
    WEIGHT_INITIALIZERS.build(dict(init_cfg)).match(module)
    return module


def _complete(match: TensorMatch, allow_missing: bool) -> TensorMatch:
    """Raise ValueError unless all tensors fit."""
    if not match.is_complete and not allow_missing:
        raise ValueError(explain(match))
    return match


def _tell(match: TensorMatch) -> None:
    """Log how many tensors fit; at the console where not all do."""
    line = f'{_LINE}loaded {match} from {match.pretrained}'
    if match.is_complete:
        print_log(line, logger='current')
    else:
        say(line)


def _keep(module: nn.Module, match: TensorMatch) -> None:
    """Mark what was loaded as initialised: mmengine would give the children of ``module`` random weights next."""
    absent = {name.rpartition('.')[0] for name in match.missing + match.misshaped}
    for name, child in module.named_modules():
        is_whole = not any(owner == name or owner.startswith(f'{name}.') for owner in absent)
        if name and is_whole and hasattr(child, 'init_weights'):
            child.is_init = True


def _initialises_itself(module: nn.Module) -> bool:
    return getattr(type(module), 'init_weights', None) is not BaseModule.init_weights


def _byte_sum(value: Tensor) -> int:
    """Does not depend on the order in memory, which a change to channels-last permutes."""
    return int(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).sum(dtype=torch.int64))


def check_identity(module: nn.Module, pretrained: PretrainedPart) -> None:
    """Raise ValueError if a module that was loaded from the file of a frozen backbone has other weights than it."""
    found = identity_text(weights_identity(module.state_dict()))
    if pretrained.identity not in (None, found):
        raise ValueError(f'{pretrained.source} has the weights {found}, and not {pretrained.identity} of the frozen '
                         'backbone whose checkpoint names this file: name the right one (--cfg-options init=FILE)')


def _network_of(module: nn.Module) -> nn.Module:
    """What is inside a frozen part; any other module itself."""
    return module.network if getattr(module, 'is_frozen', False) else module


def check_unchanged(module: nn.Module, part: str) -> None:
    """Raise RuntimeError if tensors that an init class of this file loaded have changed since."""
    module = _network_of(module)
    initialization = getattr(module, 'initialization', None)
    if initialization is None:
        return
    current = module.state_dict()
    changed = [name for name, value in initialization.sums.items() if _byte_sum(current[name]) != value]
    if changed:
        raise RuntimeError(f'{len(changed)} of {len(initialization.sums)} {part} tensors, such as {changed[0]}, were '
                           f'loaded from {initialization.source} and then overwritten: {type(module).__name__} '
                           "initialises itself; set its init_cfg to dict(type='Pretrained', checkpoint=..., "
                           f"prefix='{part}.'), which it knows")


def check_stock_initialization(module: nn.Module, part: str = 'backbone', strict: bool = False) -> None:
    """Check as the init classes do what ``type='Pretrained'`` of mmengine has loaded, which drops tensors silently.

    Modules without such an ``init_cfg``, and those that convert names by an ``init_weights`` of their own, are left
    alone. Without a prefix the file may hold more than the module has: heads of any name.

    Args:
        strict: always raise. Otherwise only for files that this package wrote and for ResNets; published weights of
            other networks may lack tensors on purpose, which is a warning.
    """
    init_cfg = _stock_cfg(module)
    if init_cfg is None or _initialises_itself(module):
        return
    pretrained, target = _read_stock(init_cfg, part), module.state_dict()
    if not init_cfg.get('prefix') and any(name in target for name in pretrained.state):
        pretrained.state = {name: value for name, value in pretrained.state.items() if name in target}
    must_fit = strict or pretrained.is_ours or isinstance(module, ResNet)
    match = _complete(match_tensors(pretrained, target), allow_missing=not must_fit)
    _tell(match)
    if not match.is_complete:
        say(f'{_LINE}{explain(match)}', logging.WARNING)
    module.initialization = Initialization(str(pretrained), pretrained.seen, {})


def _read_stock(init_cfg: dict, part: str) -> PretrainedPart:
    return read_part(init_cfg['checkpoint'], part, init_cfg.get('prefix') or '')


def initial_weights_seen(module: nn.Module) -> str:
    """Labels that the initial weights of a backbone have seen; ``'none'`` for random ones."""
    module = _network_of(module)
    if hasattr(module, 'initialization'):
        return module.initialization.seen
    init_cfg = _stock_cfg(module)
    return NOTHING if init_cfg is None else _read_stock(init_cfg, 'backbone').seen


def initial_source(module: nn.Module) -> Optional[str]:
    """File or address that the initial weights are from; None for random ones."""
    module = _network_of(module)
    if hasattr(module, 'initialization'):
        return module.initialization.source
    return (_stock_cfg(module) or {}).get('checkpoint')


def stated_source(module: nn.Module) -> Optional[str]:
    """File or address that ``init_cfg`` names, whether or not it has been loaded; None where it names none."""
    return next((cfg['checkpoint'] for cfg in _file_cfgs(module)), None)


def _stock_cfg(module: nn.Module) -> Optional[dict]:
    return next((cfg for cfg in _file_cfgs(module) if cfg.get('type') == 'Pretrained'), None)


def _file_cfgs(module: nn.Module) -> List[dict]:
    cfgs = getattr(module, 'init_cfg', None) or []
    return [cfg for cfg in ([cfgs] if isinstance(cfgs, dict) else cfgs) if cfg.get('checkpoint')]


@contextmanager
def quiet_init_weights(model: BaseModule):
    """Silence what mmengine says of every tensor while ``init_weights`` runs inside the block."""
    logger = MMLogger.get_current_instance()

    def is_ours(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR or str(record.msg).startswith(_LINE)

    logger.addFilter(is_ours)
    model._dump_init_info = lambda: None  # it writes one paragraph a tensor past the logger, into its file
    try:
        yield
    finally:
        logger.removeFilter(is_ours)
        del model._dump_init_info
