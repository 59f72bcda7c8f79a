"""What is wrong with a config, said before anything is built of it."""
from difflib import get_close_matches
from functools import partial
from importlib.util import find_spec
from typing import Callable, Dict, Iterator, Optional, Sequence, Tuple

from mmengine.config import Config

from .checks import check_choice, check_count, check_positive
from .config_keys import find_keys
from .devices import PRECISIONS
from .near_names import advice, did_you_mean, shortened
from .registered import BUILDERS, KNOWN_SCOPES, found_types, parameters_of, similar_types
from .stack import check_mmpretrain

# what each stage is built of; one needs all its parts, and a training may have no validation
STAGES = {
    'train': ('train_dataloader', 'train_cfg', 'optim_wrapper'),
    'val': ('val_dataloader', 'val_cfg', 'val_evaluator'),
    'test': ('test_dataloader', 'test_cfg', 'test_evaluator'),
}
_OF_ALL = ('model', 'data_preprocessor', 'default_hooks', 'custom_hooks', 'visualizer', 'log_processor')
_OF_TRAINING = ('param_scheduler', 'probe_dataloader', 'labelled_probe_dataloader')
_LEVELS = ('CRITICAL', 'FATAL', 'ERROR', 'WARN', 'WARNING', 'INFO', 'DEBUG', 'NOTSET')
# transforms of other packages stand in these
_FOREIGN = ('Albu', 'mmseg.Albu')
_MAX_CHARS = 60
# how alike a package that is misspelt is to the right one
_MISSPELT = 0.8


def check_config(cfg: Config, stages: Sequence[str]) -> None:
    """Refuse what a runner would stumble over: parts that are not there, settings of a wrong kind, types that nothing
    registers, arguments that they do not take.

    Types and arguments of other packages are left to those.

    Args:
        stages: that will be run, of :data:`STAGES`.

    Raises:
        ImportError: a type is of a package that is not there.
        ValueError: names key and value.
    """
    _check_parts(cfg, stages)
    _check_values(cfg, stages)
    scope = cfg.get('default_scope') or 'mmengine'
    if find_spec(scope) is None:
        raise ValueError(f'default_scope={scope!r} is no package that is installed: set it to mmseg')
    for key in (*_OF_ALL, *(key for stage in stages for key in STAGES[stage]),
                *(_OF_TRAINING if 'train' in stages else ())):
        for path, node, scopes in _typed(cfg.get(key), key, (scope, )):
            _check_type(path, node, scopes)


def _check_parts(cfg: Config, stages: Sequence[str]) -> None:
    where = f'the config {cfg.filename}' if cfg.filename else 'the config'
    if not isinstance(cfg.get('model'), dict):
        found = f'model={_shorten(cfg.model)}' if cfg.get('model') is not None else 'no model'
        raise ValueError(f'{where} has {found}: a model is a dict with a type, as the configs of mmseg_unsup:: have it')
    if cfg.model.get('backbone', {}) is None:
        raise ValueError(f'{where} has model.backbone=None: a backbone is a dict with a type')
    for stage in stages:
        there = [key for key in STAGES[stage] if cfg.get(key) is not None]
        lacking = [key for key in STAGES[stage] if cfg.get(key) is None]
        if lacking and (there or stage != 'val'):
            has = f'{" and ".join(there)}, but ' if there else ''
            raise ValueError(f'{where} has {has}no {" and no ".join(lacking)}: set all of {", ".join(STAGES[stage])}'
                             + (', or none of them' if stage == 'val' else ''))


def _check_values(cfg: Config, stages: Sequence[str]) -> None:
    for key, check in sorted(_checks(stages).items()):  # a part before what is in it
        for _, node, leaf in find_keys(cfg, key):
            if node is not None and node[leaf] is not None:
                check(key, node[leaf])
    for name, hook in (cfg.get('default_hooks') or {}).items():
        _check_hook(f'default_hooks.{name}', hook)
    for i, hook in enumerate(cfg.get('custom_hooks') or ()):
        _check_hook(f'custom_hooks.{i}', hook)


def _checks(stages: Sequence[str]) -> Dict[str, Callable]:
    """Dotted key -> what raises ValueError for a wrong value of it."""
    checks = {
        'custom_hooks': _kind_check((list, tuple)), 'default_hooks': _kind_check(dict), 'env_cfg': _kind_check(dict),
        'visualizer': _kind_check(dict), 'param_scheduler': _kind_check((list, tuple, dict)),
        'env_cfg.float32_matmul_precision': partial(check_choice, known=PRECISIONS), 'resume': _kind_check(bool),
        'randomness.seed': _check_seed, 'log_level': _check_level,
    }
    loaders = [STAGES[stage][0] for stage in stages]
    for stage in stages:
        loader, loop, third = STAGES[stage]
        checks.update({loader: _kind_check(dict), loop: _kind_check(dict)})
        checks[third] = _kind_check(dict if stage == 'train' else (dict, list, tuple))
    if 'train' in stages:
        checks.update({f'train_cfg.{name}': check_count for name in ('max_epochs', 'max_iters', 'val_interval')})
        checks['optim_wrapper.optimizer.lr'] = check_positive
        loaders.append('probe_dataloader')
    for loader in loaders:
        checks.update({
            f'{loader}.batch_size': check_count, f'{loader}.num_workers': partial(check_count, low=0),
            f'{loader}.dataset.indices': _check_indices, f'{loader}.dataset.dataset.indices': _check_indices})
    return checks


def _check_indices(name: str, value) -> None:
    if isinstance(value, int):
        check_count(name, value)


def _check_seed(name: str, value) -> None:
    check_count(name, value, 0)
    if value >= 2**32:
        raise ValueError(f'{name} must be less than 2**32, but it is {value}')


def _check_level(name: str, value) -> None:
    if not isinstance(value, int) and value not in _LEVELS:
        raise ValueError(f'{name} must be one of {", ".join(_LEVELS)}, but it is {value!r}')


def _check_hook(path: str, hook) -> None:
    if not isinstance(hook, dict):
        if hook is None or path.startswith('custom_hooks') and not isinstance(hook, str):  # left out; built already
            return
        raise ValueError(f'{path} must be a dict with the type of a hook, but it is {_shorten(hook)}')
    interval = hook.get('interval', 1)
    if isinstance(interval, bool) or not isinstance(interval, int):
        raise ValueError(f'{path}.interval must be a whole number, but it is {interval!r}')
    from mmengine.runner.priority import get_priority  # with the runner
    try:
        get_priority(hook.get('priority', 'NORMAL'))
    except (KeyError, TypeError, ValueError):
        raise ValueError(f'{path}.priority must be a number from 0 to 100 or the name of one, such as '
                         f'NORMAL, but it is {hook["priority"]!r}') from None


def _kind_check(kinds) -> Callable:
    names = ' or '.join(kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds, )))

    def check(name: str, value) -> None:
        if not isinstance(value, kinds):
            raise ValueError(f'{name} must be a {names}, but it is {_shorten(value)}')

    return check


def _typed(node, path: str, scopes: Tuple[str, ...]) -> Iterator[Tuple[str, dict, Tuple[str, ...]]]:
    """Parts of a config that have a type: dotted key, the part, and the scopes that names may be of."""
    if isinstance(node, dict):
        if node.get('_scope_'):
            scopes = (*scopes, node['_scope_'])
        if 'type' in node:
            yield path, node, scopes
        children = () if node.get('type') in _FOREIGN else node.items()
    else:
        children = enumerate(node) if isinstance(node, (list, tuple)) else ()
    for name, child in children:
        yield from _typed(child, f'{path}.{name}', scopes)


def _check_type(path: str, node: dict, scopes: Tuple[str, ...]) -> None:
    kind = node['type']
    if kind is None and path.rpartition('.')[2].endswith('cfg'):  # none of these layers
        return
    if isinstance(kind, type):
        classes = [kind]
    elif callable(kind):
        return
    elif not isinstance(kind, str):
        raise ValueError(f'{path}.type must name a type, but it is {kind!r}')
    else:
        classes = _registered(f'{path}.type', kind, scopes)
    if classes and not _is_taken_apart(path):
        _check_arguments(path, node, classes)


def _registered(key: str, name: str, scopes: Tuple[str, ...]) -> Optional[list]:
    prefix = name.partition('.')[0] if '.' in name else None
    if prefix == 'mmpretrain':
        check_mmpretrain(name)
    if prefix is None and not {*scopes} <= {*KNOWN_SCOPES}:  # a name of another package
        return None
    found = found_types(name, (*KNOWN_SCOPES[:2], *scopes))
    is_foreign = prefix is not None and prefix not in KNOWN_SCOPES
    if found == [] and is_foreign and not get_close_matches(prefix, KNOWN_SCOPES, 1, _MISSPELT):
        raise ImportError(f'{key}={name!r} is of the package {prefix}, which is not installed: install it')
    if found == []:
        remedy = did_you_mean(similar_types(name), 'check its name, or name the module that registers it in '
                              'custom_imports')
        raise ValueError(f'{key}={name!r} is no type that is registered: {remedy}')
    return found


def _is_taken_apart(path: str) -> bool:
    """Whether what is built of a part does not get all of it: ``norm_cfg`` and its like hold settings of others."""
    return any(name.rstrip('s').endswith('cfg') for name in path.split('.')[1:])


def _check_arguments(path: str, node: dict, classes: list) -> None:
    found = [parameters_of(cls) if isinstance(cls, type) else None for cls in classes]
    if any(names is None for names in found):
        return
    known = {name for names in found for name in names} - {'self'}
    for name in node:
        if name not in known and name not in BUILDERS:
            raise ValueError(f'{path} has {name}={_shorten(node[name])}, but {node["type"]} takes no {name!r}'
                             f'{advice(name, known)}')


def _shorten(value) -> str:
    return shortened(repr(value), _MAX_CHARS)
