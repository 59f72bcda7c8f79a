"""Checkpoints as data: whatever a file names besides tensors and plain values is refused by name, never run."""
import _codecs  # how pickle of protocol 2 writes bytes
import functools
import json
import os
import pydoc
import re
import zipfile
from collections import OrderedDict
from contextlib import contextmanager
from typing import Dict, List, Optional, Pattern, Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer

from ..utils.config_text import parse_config_text

# names that the user trusts, for the whole process
_allowed: List[str] = []
# suffix of files of tensors; entry of their header that has the meta of a checkpoint, as JSON
SAFETENSORS, SAFETENSORS_META = '.safetensors', 'mmseg_unsup'
COPY_AGAIN = '; copy or download it again'
_FORCE, _FORCE_NOT = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'
_REMEDY = ('If you trust the file, allow it by --cfg-options allowed_globals="[{name}]", in the config by '
           "allowed_globals=['{name}'], or by mmseg_unsup.hosts.safe_loading.allow_globals(['{name}'])")


class UnreadableCheckpoint(ValueError):
    """A file that is cut off, corrupted or of another kind; one that names what could run code is not."""


class RefusedGlobal(ValueError):
    """A file wants to load what could run code; ``name`` is what, ``module.name``."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


class StandIn:
    """An object in a file whose class is not looked for: it keeps its state as data, and does nothing."""

    def __new__(cls, *args):
        return object.__new__(cls)

    def __init__(self, *args) -> None:
        """Take whatever the class of the file would."""

    def __setstate__(self, state) -> None:
        self.state = state


def allow_globals(names: Sequence[str]) -> None:
    """Let checkpoints name these things, ``module.name``, in this process: their code may run when a file is read.
    ValueError where there is no such thing to import."""
    resolve_globals(names, 'allowed_globals: ')
    _allowed.extend(names)


def resolve_globals(names: Sequence[str], option: str = '') -> list:
    """``module.name`` -> what ``torch.serialization.add_safe_globals`` takes; ValueError where there is none."""
    found = [(pydoc.locate(name), name) for name in names]
    unknown = [name for thing, name in found if thing is None]
    if unknown:
        raise ValueError(f'{option}{unknown[0]}: there is no such thing to import')
    # torch before 2.5 takes no (thing, name) pairs
    return [thing if f'{thing.__module__}.{thing.__qualname__}' == name else (thing, name) for thing, name in found]


def load_safely(path: str, map_location=None, allowed: Optional[Sequence] = None, remedy: str = _REMEDY, **kwargs):
    """``torch.load`` of tensors and plain values; of a safetensors file its tensors, by name, or where this package
    wrote it, ``meta`` and ``state_dict`` as in a checkpoint.

    Args:
        allowed: further things, for ``torch.serialization.add_safe_globals``; by default those of mmengine's message
            hub and of :func:`allow_globals`.
        remedy: the end of the message for a refused ``{name}``.
        kwargs: of ``torch.load``.

    Raises:
        ImportError: a file needs the extra ``safetensors``.
        OSError: the file cannot be opened.
        ValueError: it names something else, or is no checkpoint.
    """
    if str(path).endswith(SAFETENSORS) or _begins_as_safetensors(path):
        return _load_safetensors(str(path), map_location)
    allowed = [*_mmengine_globals(), *resolve_globals(_allowed)] if allowed is None else allowed
    if _is_program(path):
        raise ValueError(f'{path} is a program (TorchScript or torch.export), not a checkpoint: name the file of '
                         'weights that it was made from')
    try:
        with _forced_weights_only(), _only_safe_globals(allowed):
            return torch.load(path, map_location=map_location, weights_only=True, **kwargs)
    except OSError:
        raise
    except Exception as error:  # a file of another kind can fail anywhere
        raise _refusal(path, error, remedy) from None


def load_with_stand_ins(path: str, harmless: Pattern, remedy: str):
    """:func:`load_safely` of a file in which objects lie beside the tensors, such as the settings of its training.

    Nothing that the file names is imported or run: what ``harmless`` matches, ``module.name``, becomes a
    :class:`StandIn`, anything else is refused.
    """
    stand_ins: Dict[str, type] = {}
    while True:
        try:
            return load_safely(path, 'cpu', [*_mmengine_globals(), *stand_ins.values()], remedy)
        except RefusedGlobal as error:
            if error.name in stand_ins or not harmless.fullmatch(error.name):
                raise
            module, _, name = error.name.rpartition('.')  # torch leaves out that of built-in types
            stand_ins[error.name] = type(name, (StandIn, ), dict(__module__=module or 'builtins'))


def _load_safetensors(path: str, map_location) -> dict:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise ImportError(f'{path} needs safetensors. Run: pip install "mmseg-unsup[safetensors]"') from None
    try:
        with safe_open(path, framework='pt', device=str(map_location or 'cpu')) as file:
            meta = (file.metadata() or {}).get(SAFETENSORS_META)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict
            return state if meta is None else dict(meta=json.loads(meta), state_dict=state)
    except (SafetensorError, ValueError, RecursionError) as error:  # of JSON
        raise UnreadableCheckpoint(f'{path} cannot be read as a file of tensors: {kind_of_file(path) or error}'
                                   f'{COPY_AGAIN}') from None


def _begins_as_safetensors(path: str) -> bool:
    """Whether a file of another name has the length of a header and that header's first character."""
    try:
        with open(path, 'rb') as file:
            start = file.read(9)
    except (OSError, TypeError, ValueError):  # torch says what is wrong with it
        return False
    return len(start) == 9 and start[8:] == b'{' and int.from_bytes(start[:8], 'little') < os.path.getsize(path)


def register_safe_loaders(checkpoint_loader: type) -> None:
    """Make all loading through mmengine safe: ``load_from``, ``--resume`` and ``init_cfg``, from files and addresses.

    By itself mmengine repeats a refused load without the restriction, which runs what the file asks for; when a run is
    continued it executes ``meta['config']``, and later removes whatever ``message_hub`` calls the best checkpoint.

    Args:
        checkpoint_loader: mmengine's.
    """
    for prefix, loader in list(checkpoint_loader._schemes.items()):
        if not hasattr(loader, 'is_safe'):
            checkpoint_loader.register_scheme(prefix, _guard(loader, is_file=prefix == ''), force=True)


def _guard(loader, is_file: bool):

    @functools.wraps(loader)
    def load(filename, map_location=None, **kwargs):
        if is_file:
            path = os.path.expanduser(filename)
            if not os.path.isfile(path):
                raise FileNotFoundError(f'there is no checkpoint {path!r}: check the path')
            return _harmless(load_safely(path, map_location))
        with _forced_weights_only(), _only_safe_globals([*_mmengine_globals(), *resolve_globals(_allowed)]):
            try:
                return _harmless(loader(filename, map_location, **kwargs))
            except OSError:
                raise
            except Exception as error:
                if 'eights only' not in str(error) and 'GLOBAL' not in str(error):
                    raise
                raise _refusal(filename, error, _REMEDY) from None

    load.is_safe = True
    return load


def register_safe_inferencers(base: type) -> None:
    """Let inferencers of mmengine that are given no config, as ``MMSegInferencer(None, CHECKPOINT)``, take the one that
    the checkpoint carries as data; by themselves they execute it.

    Args:
        base: mmengine's ``BaseInferencer``.
    """
    original = base._init_model
    if hasattr(original, 'is_safe'):
        return

    @functools.wraps(original)
    def init_model(self, cfg, weights, *args, **kwargs):
        if not cfg and weights is not None:
            from mmengine.runner import CheckpointLoader

            from ..utils.stored_config import read_stored_config  # it imports mmseg
            checkpoint = CheckpointLoader.load_checkpoint(weights, map_location='cpu')
            cfg.update(Config(read_stored_config(checkpoint, weights))._cfg_dict)
        return original(self, cfg, weights, *args, **kwargs)

    init_model.is_safe = True
    base._init_model = init_model


def _harmless(checkpoint):
    """Take away what makes mmengine run code or remove files of others when a run is continued."""
    if isinstance(checkpoint, dict):
        _reduce_config(checkpoint.get('meta'))
        hub = checkpoint.get('message_hub')
        _forget_foreign_best(hub.get('runtime_info') if isinstance(hub, dict) else None)
    return checkpoint


def _reduce_config(meta) -> None:
    """Keep of ``config``, which is executed as Python, what is looked for in it."""
    if isinstance(meta, dict) and 'config' in meta:
        config = meta.pop('config')
        gpu_ids = parse_config_text(config).get('gpu_ids') if isinstance(config, str) else None
        if isinstance(gpu_ids, (list, tuple)):
            meta['config'] = f'gpu_ids = {[0] * len(gpu_ids)}'  # their number counts


def _forget_foreign_best(info) -> None:
    """Forget a former best checkpoint, which goes when there is a better one, if it has not the name of one."""
    if not isinstance(info, dict):
        return
    for key in [key for key in info if str(key).startswith('best_ckpt')]:
        path = info[key]
        if not isinstance(path, str) or not os.path.basename(path).startswith('best_') or os.path.isdir(path):
            info[key] = None


def _is_program(path: str) -> bool:
    """Whether a file is an archive of TorchScript, which some versions of torch load in the place of tensors."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.partition('/')[2] for name in archive.namelist()}
    except Exception:  # no archive, or a damaged one: torch says what is wrong
        return False
    return not names.isdisjoint(('constants.pkl', 'archive_format'))


@contextmanager
def _forced_weights_only():
    """Inside the block ``torch.load`` is restricted, whatever its caller or the environment asks for."""
    before = {name: os.environ.pop(name, None) for name in (_FORCE, _FORCE_NOT)}
    os.environ[_FORCE] = '1'
    try:
        yield
    finally:
        del os.environ[_FORCE]
        os.environ.update({name: value for name, value in before.items() if value is not None})


@contextmanager
def _only_safe_globals(allowed: Sequence):
    """Replace the process-wide list, to which mmengine may have added ``getattr``; ``safe_globals`` would extend it."""
    before = list(torch.serialization.get_safe_globals())
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(list(allowed))
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _refusal(path: str, error: Exception, remedy: str) -> ValueError:
    found = re.search(r"GLOBAL ([\w.]+)|but got <class '([\w.]+)'>", str(error))
    if found:
        return refusal_of(path, found[1] or found[2], remedy)
    kind = kind_of_file(path)
    if kind:
        return UnreadableCheckpoint(f'{path} cannot be read as a checkpoint of tensors and plain values: {kind}'
                                    f'{COPY_AGAIN}')
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and 'documentation of' not in line]
    return UnreadableCheckpoint(f'{path} cannot be read as a checkpoint of tensors and plain values: '
                                f'{lines[-1] if lines else type(error).__name__}{COPY_AGAIN}')


def kind_of_file(path: str) -> str:
    """What a file is that cannot be read as what it should be; empty where its first bytes do not tell."""
    try:
        with open(path, 'rb') as file:
            start = file.read(200).lstrip()
    except OSError:  # an address
        return ''
    if not start:
        return 'it is empty'
    if start[:1] == b'<':
        return 'it is a page of the web, as of a download that went wrong'
    if start.startswith(b'version https://git-lfs'):
        return 'it is what git has in place of a large file, which git lfs pull fetches'
    if start[:4] == b'PK\x03\x04' and not zipfile.is_zipfile(path):
        return 'it is cut off'
    return ''


def refusal_of(source: str, name: str, remedy: str = _REMEDY) -> ValueError:
    """The error for a file that wants to load ``module.name``."""
    return RefusedGlobal(f'{source} wants to load {name}, which is neither a tensor nor a plain value and could run '
                         f'code: nothing was loaded. {remedy.format(name=name)}', name)


def plain_globals() -> Dict[str, object]:
    """``module.name`` -> what pickles of numbers, arrays and containers are made of, and what the user trusts."""
    things = [*_mmengine_globals(), *resolve_globals(_allowed), OrderedDict, set, frozenset, complex, bytearray]
    pairs = [thing if isinstance(thing, tuple) else (thing, f'{thing.__module__}.{thing.__qualname__}')
             for thing in things]
    return {name: thing for thing, name in pairs}


def _method_of_history(owner, name: str):
    """What the message hub needs of ``getattr``."""
    if owner is not HistoryBuffer or name not in ('min', 'max', 'current', 'mean'):
        raise ValueError(f'a checkpoint may not take {name!r} of {owner!r}')
    return getattr(owner, name)


def _mmengine_globals() -> list:
    """What the message hub in checkpoints of mmengine and mmseg is made of: numbers, arrays and their history."""
    multiarray = np._core.multiarray if hasattr(np, '_core') else np.core.multiarray
    functions = [multiarray._reconstruct, multiarray.scalar]
    dtypes = {type(np.dtype(name)) for name in ('bool', 'int32', 'int64', 'uint8', 'uint32', 'float32', 'float64')}
    plain = [HistoryBuffer, np.ndarray, np.dtype, *dtypes, *functions, _codecs.encode]
    if not _takes_pairs():
        return plain
    renamed = [(function, f'numpy.{core}.multiarray.{function.__name__}') for function in functions
               for core in ('core', '_core')]  # numpy 2 renamed the module
    return [*plain, *renamed, (_method_of_history, 'builtins.getattr')]


def _takes_pairs() -> bool:
    return tuple(int(part) for part in torch.__version__.split('.')[:2]) >= (2, 5)
