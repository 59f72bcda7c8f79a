"""Options of the command line, ``key=value``: what a value means, and which keys there are."""
import ast
import inspect
from typing import Dict, Iterable, List, Optional, Sequence, Set

from mmengine.config import Config, DictAction

from .near_names import advice
from .registered import BUILDERS, found_types, parameters_of

# last names of keys whose values are paths or addresses, whatever these look like
_PATHS = ('data_root', 'root', 'mask_root', 'output_dir', 'out_dir', 'init', 'checkpoint', 'ann_file', 'labels',
          'img_path', 'seg_map_path', 'mask_path', 'work_dir', 'load_from', 'filename', 'feature_cache', 'folder')
_OUT = 'out'  # alone, of the folder configs; that of a FrozenBackbone is names of its outputs
# Of a config, what this package and mmengine read besides the arguments of the runner.
_READ = ('probe_dataloader', 'labelled_probe_dataloader', 'allowed_globals', 'shortcuts', 'custom_imports',
         'model_wrapper_cfg', 'find_unused_parameters', 'sync_bn', 'activation_checkpointing', 'efficient_conv_bn_eval',
         'compile', 'tta_model', 'tta_pipeline')
_BRACKETS = tuple('[({')


def parse_options(words: Sequence[str]) -> Dict[str, object]:
    """Words ``key=value`` -> dotted key -> number, bool, None, list, tuple or text.

    Values are read as mmengine does, but spaces stay, a path is a path (None aside), and what is in quotes of its own,
    as in ``"key='1,2'"``, is a text.

    Raises:
        ValueError: a bracket or quote has no partner.
    """
    return {key: _parse_value(key, text) for key, _, text in (word.partition('=') for word in words)}


def _parse_value(key: str, text: str):
    if len(text) > 1 and text[0] == text[-1] and text[0] in '\'"':
        return text[1:-1]
    if key == _OUT or key.rpartition('.')[2] in _PATHS:
        return None if text == 'None' else text
    if text[:1] in _BRACKETS:
        try:
            return ast.literal_eval(text)  # texts in it may have spaces and commas
        except (ValueError, SyntaxError, MemoryError, RecursionError):  # words without quotes
            pass
    try:
        value = DictAction._parse_iterable(text)
    except (AssertionError, RecursionError):  # of mmengine, without a word on the key
        raise ValueError(f'{key}={text} has a bracket or quote without its partner: write a list as [a,b] and texts '
                         "with commas in it as ['a,b','c']") from None
    return text if isinstance(value, str) else value


def check_options(cfg: Config, options: Dict[str, object]) -> None:
    """Raise ValueError for a key that nothing would read: merged into a config, it would change nothing without a word.

    Known are the keys of the config, what the runner reads, and the arguments of what a ``type`` names.
    """
    for key in options:
        name, *rest = key.split('.')
        known = {*cfg}
        if name not in known and name not in (known := {*known, *_READ, *_arguments_of_runner()}):
            raise _unknown(key, name, 'the config', known)
        _check_below(cfg.get(name), key, name, rest, options)


def _check_below(node, key: str, path: str, rest: List[str], options: Dict[str, object]) -> None:
    for name in rest:
        if path in options:  # a value of its own takes the place of what is here
            return
        if isinstance(node, (list, tuple)):
            if not name.isdigit() or int(name) >= len(node):
                raise ValueError(f'--cfg-options {key}: {path} is a list of {len(node)}, in which {name!r} is no '
                                 'number of an element (from 0 on) and no type of one')
            node = node[int(name)]
        elif node is None:  # the option makes it
            return
        elif not isinstance(node, dict):
            raise ValueError(f'--cfg-options {key}: {path} is {node!r}, in which there are no keys')
        elif name in node:
            node = node[name]
        else:
            known = _arguments(path, dict(node, type=options[f'{path}.type']) if f'{path}.type' in options else node)
            if known is not None and name not in known and not _makes_hook(path, name, options):
                raise _unknown(key, name, path, known)
            return
        path = f'{path}.{name}'


def _arguments_of_runner(method: str = '__init__') -> List[str]:
    from mmengine.runner import Runner  # seconds, which a config without a new key need not wait for
    return list(inspect.signature(getattr(Runner, method)).parameters)[1:]


def _arguments(path: str, node: dict) -> Optional[Set[str]]:
    """What may stand in a part of a config; None if anything may."""
    if 'type' in node:
        return _arguments_of_type(node)
    if '.' not in path and path.endswith('_dataloader'):
        from torch.utils.data import DataLoader
        return {*node, *inspect.signature(DataLoader.__init__).parameters, 'num_batch_per_epoch'}
    if path == 'randomness':
        return {*_arguments_of_runner('set_randomness')}
    return {*node} if path == 'default_hooks' else None


def _makes_hook(path: str, name: str, options: Dict[str, object]) -> bool:
    return path == 'default_hooks' and (isinstance(options.get(f'{path}.{name}'), dict) or
                                        f'{path}.{name}.type' in options or f'{path}.{name}' in options)


def _arguments_of_type(node: dict) -> Optional[Set[str]]:
    found = [parameters_of(cls, strict=True) for cls in _classes(node['type'])]
    if not found or any(names is None for names in found):
        return None
    return {*node, *BUILDERS, *(name for names in found for name in names)}


def _classes(name) -> List[type]:
    found = found_types(name) or [] if isinstance(name, str) else [name]
    return [cls for cls in found if isinstance(cls, type)]


def _unknown(key: str, name: str, place: str, known: Iterable[str]) -> ValueError:
    return ValueError(f'--cfg-options {key}: {place} has no {name!r}{advice(name, {*known} - {*BUILDERS, "self"})}')
