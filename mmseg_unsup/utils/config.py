"""Reading configs: package references, and command-line variables that reach every place they are used."""
import os
import os.path as osp
import sys
from glob import escape, glob
from importlib.util import find_spec
from itertools import accumulate
from typing import List, Optional

from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from .config_keys import concrete_keys, find_keys
from .near_names import did_you_mean, similar
from .old_names import present_config
from .options import check_options

# of configs here and of MMSegmentation
_DEFAULT_BACKENDS = [dict(type='LocalVisBackend')]
CONFIG_SUFFIXES = ('.py', '.yml', '.yaml', '.json')
_FORMS = 'give the path of a file, or mmseg_unsup::NAME with its path below configs/'


def find_config(reference: str) -> str:
    """Path of a config, which is given as a file or as ``package::path``, its path below the package's ``configs/``.
    FileNotFoundError where there is none names those that are spelt nearly so."""
    reference = str(reference)
    if osp.isfile(reference):
        return reference
    if osp.isdir(reference):
        raise FileNotFoundError(f'there is no config {reference!r}: it is a folder; {_FORMS}')
    package, separator, name = reference.rpartition('::')
    if not separator:
        beside = glob(osp.join(escape(osp.dirname(name)), '*.py'))
        near = _nearest(name, beside) or _nearest(name, _names('mmseg_unsup'))
        raise FileNotFoundError(f'there is no config {name!r}: {near or _FORMS}')
    folder = _configs_of(package)
    if folder is None:
        near = [f'{other}::{name}' for other in similar(package, ('mmseg_unsup', 'mmseg'))]
        raise FileNotFoundError(f'there is no config {reference!r}: no installed package {package!r} has configs: '
                                + did_you_mean(near, _FORMS))
    for path in (osp.join(folder, name), osp.join(folder, f'{name}.py')):
        if osp.isfile(path):
            return path
    raise FileNotFoundError(f'there is no config {reference!r}: {_nearest(name, _names(package)) or _FORMS}')


def _configs_of(package: str) -> Optional[str]:
    """Folder of the configs of a package: installed with it, or beside it in a clone."""
    spec = find_spec(package) if package.isidentifier() else None
    roots = spec.submodule_search_locations if spec else None
    folders = [osp.join(root, place, 'configs') for place in ('.mim', '..') for root in roots or []]
    return next(filter(osp.isdir, folders), None)


def reference_of(path: str) -> str:
    """``mmseg_unsup::PATH`` of a config of this package, wherever that is installed; of any other the absolute path."""
    folder, path = _configs_of('mmseg_unsup'), osp.realpath(path)
    root = folder and osp.join(osp.realpath(folder), '')
    return f'mmseg_unsup::{path[len(root):]}'.replace(os.sep, '/') if root and path.startswith(root) else path


def _names(package: str) -> List[str]:
    """Names of the configs of a package, without those that are inherited only."""
    folder = _configs_of(package)
    return [f'{package}::{path}' for path in glob('[!_]*/**/*.py', root_dir=folder, recursive=True)] if folder else []


def _nearest(name: str, found: List[str]) -> str:
    """A question that names up to three configs whose file names are spelt nearly as ``name``; empty without any."""
    paths = {osp.splitext(osp.basename(path))[0]: path for path in sorted(found)}
    return did_you_mean([paths[stem] for stem in similar(osp.splitext(osp.basename(name))[0], paths)])


def load_config(path: str, cfg_options: Optional[dict] = None) -> Config:
    """Read a config, apply its ``shortcuts``, then the command-line options.

    A config may declare which keys a top-level variable stands for::

        data_root = 'data/camvid'
        shortcuts = dict(data_root=['*_dataloader.**.data_root'], size=['train_dataloader.**.RandomCrop.size'])

    (``*`` stands for any name or part of one, ``**`` for any number of levels, a type for the elements of a list that
    have it; ``'len(KEY)'`` gets the number of elements of the variable) so that ``--cfg-options data_root=PATH``, or a
    child config that sets ``data_root``, reaches all of them. ``vis_backends``, dicts or names of types, reaches a
    visualizer that has none but the default ones. A part of the model whose ``init_cfg`` then has no checkpoint
    (``init=None``) starts as it does without ``init_cfg``; nothing is set below what is None, as in the config that
    such a run has written.

    Modules of ``custom_imports`` may lie in the folder of the config.

    Args:
        path: see :func:`find_config`; its ``_base_`` may be a ``package::`` reference.
        cfg_options: dotted key -> value, as :func:`mmseg_unsup.utils.options.parse_options` makes them; keys are
            written as in ``shortcuts``.

    Raises:
        FileNotFoundError: there is no such config.
        ImportError: of ``custom_imports``.
        ValueError: nothing would read an option; the file cannot be read.
        KeyError: a shortcut names a key that the config does not have.
    """
    path = find_config(path)
    cfg = present_config(_read_file(path))
    if cfg.get('custom_imports'):
        _import_custom_modules(path, cfg.custom_imports)
    _apply_shortcuts(cfg, cfg.get('shortcuts', {}))
    if (cfg.get('visualizer') or {}).get('vis_backends') in (None, _DEFAULT_BACKENDS):
        _reach_visualizer(cfg)
    merge_options(cfg, cfg_options or {})
    return cfg


def _read_file(path: str) -> Config:
    if osp.splitext(path)[1] not in CONFIG_SUFFIXES:
        raise ValueError(f'{path} is no config, whose name ends in {" or ".join(CONFIG_SUFFIXES)}: {_FORMS}')
    where = f'the config {path}, or one in its _base_,'
    try:
        return Config.fromfile(path, import_custom_modules=False)
    except SyntaxError as error:
        raise ValueError(f'{where} is no Python: {error.msg} in line {error.lineno}, {(error.text or "").strip()!r}'
                         ) from None
    except UnicodeDecodeError:
        raise ValueError(f'{where} is no text in UTF-8: name a file of Python') from None
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{where} inherits from {error.filename or error}, which does not exist: check the '
                                'path in _base_') from None
    except Exception as error:  # whatever its code does
        reason = ' '.join(str(error).split())
        raise ValueError(f'{where} cannot be read: {type(error).__name__}: {reason}') from error


def _import_custom_modules(path: str, custom_imports: dict) -> None:
    """Import modules as ``Config.fromfile`` does, also those beside the config; what is installed goes first."""
    folder = osp.dirname(osp.abspath(path))
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        import_modules_from_strings(**custom_imports)
    except ImportError as error:
        raise ImportError(f'custom_imports of the config {path}: {error}: install what is lacking, or put the module '
                          'beside the config') from error


def merge_options(cfg: Config, options: dict) -> None:
    """Merge dotted key -> value into a config, in place, as :func:`load_config` does and with its errors; variables of
    ``shortcuts`` reach what they stand for."""
    options = {place: value for key, value in options.items() for place in concrete_keys(cfg, key)}
    check_options(cfg, options)
    shortcuts = cfg.get('shortcuts', {})
    variables = {name: value for name, value in options.items() if name in shortcuts or name == 'vis_backends'}
    for name, value in variables.items():
        cfg[name] = value
        for key in shortcuts.get(name, ()) if value is not None else ():
            if not _existing(cfg, key, name):
                raise KeyError(f'{name}={value} sets {key!r}, above which the config says None')
    _apply_shortcuts(cfg, {name: shortcuts[name] for name in variables if name in shortcuts})
    if 'vis_backends' in variables:
        _reach_visualizer(cfg)
    # full keys come last: they are the more precise wish
    for key in options:
        _open_up(cfg, key)
    cfg.merge_from_dict({key: value for key, value in options.items() if key not in variables})
    _drop_empty_initializations(cfg)
    _keep_precise_wishes(cfg)


def _open_up(cfg: Config, key: str) -> None:
    """What is None above an option becomes a part that holds it; mmengine merges nothing into None."""
    for part in accumulate(key.split('.')[:-1], '{}.{}'.format):
        for _, node, leaf in find_keys(cfg, part):
            if node is not None and node[leaf] is None:
                node[leaf] = {}


def _reach_visualizer(cfg: Config) -> None:
    """Give the visualizer ``vis_backends``, of which it has a copy from when the file was read."""
    backends = cfg.get('vis_backends')
    if backends and isinstance(cfg.get('visualizer'), dict):
        backends = [backends] if isinstance(backends, (str, dict)) else backends
        cfg.vis_backends = [dict(type=entry) if isinstance(entry, str) else entry for entry in backends]
        cfg.visualizer.vis_backends = cfg.vis_backends


def _drop_empty_initializations(cfg: Config) -> None:
    for key in ('model.*.init_cfg', 'model.*.backbone.init_cfg'):  # the latter of what is frozen
        for _, part, leaf in find_keys(cfg, key):
            init_cfg = part and part[leaf]
            if isinstance(init_cfg, dict) and init_cfg.get('checkpoint', '') is None:
                part[leaf] = None


def _apply_shortcuts(cfg: Config, shortcuts: dict) -> None:
    for variable, keys in shortcuts.items():
        if variable not in cfg:
            raise KeyError(f'shortcuts names {variable!r}, but the config has no top-level variable of that name')
        for key in keys:
            for node, leaf in _existing(cfg, key, variable):
                node[leaf] = _value_at(key, cfg[variable])


def _keep_precise_wishes(cfg: Config) -> None:
    """A full key has set what a variable stands for: the variable follows where that is all of it, or lets go of it, as
    the config that the run writes would set it back when it is read."""
    for variable, keys in cfg.get('shortcuts', {}).items():
        counts = [key for key in keys if _counted_key(key) and all(
            node[leaf] == len(cfg[variable]) for node, leaf in _existing(cfg, key, variable))]
        places = {place: node[leaf] for key in keys for place, node, leaf in find_keys(cfg, key) if node is not None}
        kept = [place for place, value in places.items() if value == cfg[variable]]
        if places and not kept and all(value == next(iter(places.values())) for value in places.values()):
            cfg[variable] = next(iter(places.values()))
        elif len(kept) < len(places) or {*filter(_counted_key, keys)} > {*counts}:
            cfg.shortcuts[variable] = kept + counts


def unapplied_shortcuts(cfg: Config) -> List[str]:
    """Variables of ``shortcuts`` that differ from what they stand for, as in a config read by ``Config.fromfile``."""
    return [variable for variable, keys in cfg.get('shortcuts', {}).items()
            if any(node[leaf] != _value_at(key, cfg[variable]) for key in keys
                   for node, leaf in _existing(cfg, key, variable))]


def _existing(cfg: Config, key: str, variable: str) -> List[tuple]:
    """What a key of a shortcut stands for, each the node that it lies in and its last part; none where a part above is
    None. KeyError where the config has no such key."""
    places = list(find_keys(cfg, _counted_key(key) or key))
    if not places:
        raise KeyError(f'the shortcut {variable!r} sets {key!r}, which the config does not have')
    return [(node, leaf) for _, node, leaf in places if node is not None]


def _counted_key(key: str) -> Optional[str]:
    """KEY of ``'len(KEY)'``; None of another."""
    return key[4:-1] if key.startswith('len(') and key.endswith(')') else None


def _value_at(key: str, value):
    """What a variable of this value sets at a key of its shortcut."""
    return len(value) if _counted_key(key) else value
