"""The config that a checkpoint carries, as data: it may name types that are registered, and nothing else that runs."""
import importlib
import re
from typing import List, Optional, Tuple

from mmengine.registry import DATA_SAMPLERS, DATASETS, FUNCTIONS, MODELS, TASK_UTILS, TRANSFORMS, Registry

from ..registry import PRIORS
from .config_keys import walk
from .config_text import parse_config_text
from .old_names import present_config
from .stack import check_mmpretrain
from .weight_addresses import harmless_source

SCOPES = ('mmengine', 'mmseg', 'mmseg_unsup')
# only backbones: other types of mmpretrain load networks by name, with the code that comes with them
_MMPRETRAIN = 'mmpretrain'
_OF_MMPRETRAIN = ('mmpretrain.models.backbones.', 'mmpretrain.models.utils.norm')
# what is built of a stored config, and the registries that it is built from
_REGISTRIES = dict(model=(MODELS, TASK_UTILS, PRIORS), test_dataloader=(DATASETS, TRANSFORMS, DATA_SAMPLERS, FUNCTIONS))
# a path, an address, a file or a module: 'a/b', 'http://a', 'a.pkl', 'a.b'
_OUTSIDE = re.compile(r'[/\\:]|\w\.\w')
# folders of which only pictures are read
_FOLDERS = ('model.test_cfg.masks.data_root', 'model.test_cfg.masks.mask_root')
# names of outputs of a frozen backbone, 'layer3.0', 'tokens.9', which are only looked up among those that it has
_OUTPUTS = re.compile(r'model\.backbone\.out(\.\d+)?')
_FROZEN = 'mmseg_unsup.FrozenBackbone'
# what loads the weights of a frozen backbone, and the arguments of these
_INITIALIZERS = ('mmseg_unsup.PretrainedBackbone', 'PretrainedBackbone', 'Pretrained')
_OPTIONS = ('type', 'prefix', 'averaged', 'allow_missing')
_REMEDY = 'nothing was built. If you trust the file, name the config file of its run instead'


def read_stored_config(checkpoint: dict, source: str) -> dict:
    """What the config in ``meta`` assigns; initial weights are left out, as those of the checkpoint take their place;
    those of a frozen backbone stay, see :func:`frozen_weights`.

    Args:
        source: path of the checkpoint, for messages.

    Raises:
        ImportError: it has a backbone of mmpretrain, which cannot be imported.
        ValueError: there is none; it holds more than plain values; see :func:`check_stored`.
    """
    meta = checkpoint.get('meta')
    text = meta.get('cfg') if isinstance(meta, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f'{source} carries no config: give the config of its run before it')
    try:
        values = parse_config_text(text, strict=True)
    except ValueError as error:
        raise ValueError(f'the config that {source} carries is more than data, {error}; {_REMEDY}') from None
    if not isinstance(values.get('model'), dict):
        raise ValueError(f'{source} carries no config of a model: give the config of its run before it')
    weights = frozen_weights(values['model'].get('backbone'), source)
    stated = weights and values['model']['backbone']['backbone']['init_cfg']['checkpoint']
    values['model'] = _without_initialization(present_config(values)['model'])
    for part in _REGISTRIES:
        check_stored(values.get(part), part, source)
    if weights:
        values['model']['backbone']['backbone']['init_cfg'] = weights
        if values.get('init') == stated:  # the variable that stands for it
            values['init'] = weights['checkpoint']
    return values


def frozen_weights(backbone, source: str) -> Optional[dict]:
    """The ``init_cfg`` of a :class:`mmseg_unsup.FrozenBackbone`, whose weights are in no checkpoint, reduced to what is
    harmless: the file is read as data and must have the weights of the checkpoint's identity.

    Args:
        backbone: ``model.backbone`` of a stored config.
        source: as of :func:`read_stored_config`.

    Raises:
        ValueError: it names no file and no published weights.
    """
    network = backbone.get('backbone') if isinstance(backbone, dict) else None
    init_cfg = network.get('init_cfg') if isinstance(network, dict) else None
    checkpoint = init_cfg.get('checkpoint') if isinstance(init_cfg, dict) else None
    if not isinstance(checkpoint, str) or init_cfg.get('type') not in _INITIALIZERS:
        return None
    try:
        checkpoint = harmless_source(checkpoint)
    except ValueError as error:
        raise ValueError(f'the config that {source} carries has model.backbone.backbone.init_cfg.checkpoint, and '
                         f'{error}; {_REMEDY}') from None
    return {key: init_cfg[key] for key in _OPTIONS if key in init_cfg} | dict(checkpoint=checkpoint)


def check_stored(settings, key: str, source: str) -> None:
    """Refuse what a part of a stored config may not name.

    A ``type`` must be registered in mmengine, mmseg or mmseg_unsup, or be a backbone of mmpretrain: mmengine imports
    any other one by its dotted path. Texts of a model may not name files, addresses or modules, which some types read
    or import.

    Args:
        settings: of the part, as plain values.
        key: dotted, such as ``'model.backbone'``.

    Raises:
        ImportError: as :func:`read_stored_config`.
        ValueError: with file, key and value.
    """
    part = key.partition('.')[0]
    entries = list(walk(settings, key))[1:]
    scopes, is_frozen = _default_scopes(entries), dict(entries).get('model.backbone.type') == _FROZEN
    for name, value in entries:
        found = f'the config that {source} carries has {name}={value!r}, which'
        last = name.rpartition('.')[2]
        if last == 'type' and not _is_registered(value, _REGISTRIES[part], scopes):
            raise ValueError(f'{found} is no type that is registered in {", ".join(SCOPES)} and no backbone of '
                             f'{_MMPRETRAIN}; {_REMEDY}')
        if last == '_scope_' and value not in (*SCOPES, _MMPRETRAIN):
            raise ValueError(f'{found} is none of {", ".join(SCOPES)} and {_MMPRETRAIN}; {_REMEDY}')
        is_output = is_frozen and _OUTPUTS.fullmatch(name)
        is_checked = part == 'model' and last != 'type' and name not in _FOLDERS and not is_output
        if is_checked and isinstance(value, str) and _OUTSIDE.search(value):
            raise ValueError(f'{found} looks like the name of a file, an address or a module; {_REMEDY}')


def _default_scopes(entries: List[tuple]) -> List[str]:
    """Known scopes in which a type without one may be looked up: mmseg, those of ``_scope_``, that of a backbone."""
    texts = [(name, value) for name, value in entries if isinstance(value, str)]
    stated = [value for name, value in texts if name.endswith('._scope_') and value in SCOPES]
    of_mmpretrain = [value for _, value in texts if value.split('.')[0] == _MMPRETRAIN]
    if of_mmpretrain:
        check_mmpretrain(of_mmpretrain[0])
    return ['mmseg', *stated, *([_MMPRETRAIN] if of_mmpretrain else [])]


def _is_registered(name, registries: Tuple[Registry], scopes: List[str]) -> bool:
    if not isinstance(name, str):
        return False
    scope, _, bare = name.rpartition('.')
    if scope and scope not in (*SCOPES, _MMPRETRAIN):
        return False
    return any(_found_in(registry, of_scope, bare) for registry in registries
               for of_scope in ([scope] if scope else scopes))


def _found_in(registry: Registry, scope: str, name: str) -> bool:
    """Whether a scope of a registry, or what it inherits from, has a name; imports modules of known packages only."""
    importlib.import_module(f'{scope}.registry')
    node, above = registry._search_child(scope), registry.parent
    while node is not None and node is not above:
        node.import_from_location()
        found = node.module_dict.get(name)
        if found is not None:
            return node.scope != _MMPRETRAIN or found.__module__.startswith(_OF_MMPRETRAIN)
        node = node.parent
    return False


def _without_initialization(settings):
    """A copy whose modules start from nothing; a prior of ``test_cfg`` keeps its network."""
    if isinstance(settings, dict):
        return {name: None if name in ('init_cfg', 'pretrained') else value if name == 'test_cfg' else
                _without_initialization(value) for name, value in settings.items()}
    if isinstance(settings, (list, tuple)):
        return type(settings)(_without_initialization(value) for value in settings)
    return settings
