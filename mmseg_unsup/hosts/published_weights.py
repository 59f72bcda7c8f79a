"""Weights by name or address: found without torchvision, downloaded once a machine, checked before they are read."""
import importlib
import json
import logging
import os
import os.path as osp
import re
import zipfile
from contextlib import suppress
from types import ModuleType
from typing import Dict, Optional

import mmengine

from ..utils.digests import has_digest
from ..utils.near_names import did_you_mean, similar
from ..utils.weight_addresses import REMEDY, TABLES, TORCHVISION, place_in_cache
from .safe_loading import UnreadableCheckpoint, kind_of_file, load_safely

_SCHEMES = (*TABLES, 'http', 'https')
# names and hashes of torchvision's files: ``resnet18-f37072fd.pth``
_HASH = re.compile(r'-([0-9a-f]{8,64})\.\w+$')


def register_weight_loaders(checkpoint_loader: type) -> None:
    """Load ``torchvision://NAME``, the names of OpenMMLab and addresses through this file, wherever mmengine does.

    mmengine imports torchvision for the names, checks no hash, and keeps what a broken download left. To be called
    before :func:`register_safe_loaders`, which watches over these loaders too.

    Args:
        checkpoint_loader: mmengine's.
    """
    checkpoint_loader.register_scheme([f'{scheme}://' for scheme in _SCHEMES], load_from_cache, force=True)


def load_from_cache(filename: str, map_location=None, **_) -> dict:
    """Load the weights that a name or an address stands for.

    Raises:
        OSError: they cannot be downloaded.
        ValueError: there are none of this name, or they are damaged or no weights.
    """
    path = weights_file(filename)
    try:
        checkpoint = load_safely(path, map_location)
    except UnreadableCheckpoint as error:
        raise UnreadableCheckpoint(f'{error}; delete it to have {filename} downloaded again') from None
    return _of_mmengine()._process_mmcls_checkpoint(checkpoint) if filename.startswith('mmcls://') else checkpoint


def weights_file(source: str) -> str:
    """Path of the weights that a name or an address stands for, in torch's cache; downloads what that lacks.

    A file of torchvision has the hash in its name, which must be right, in the cache too; of others the checksums that
    torch wrote into them. One process downloads; the others of the machine wait for it. Errors are those of
    :func:`load_from_cache`.
    """
    scheme, name = source.split('://', 1)
    address = source if scheme in ('http', 'https') else _look_up(scheme, name)
    if '://' not in address:
        return _own_file(source, address)
    path = place_in_cache(address, is_published=source != address)
    found = _HASH.search(path) if scheme in TORCHVISION else None
    if not _is_whole(path, found and found[1]):
        _download(source, address, path, found and found[1])
    return path


def damaged_record(path: str) -> Optional[str]:
    """First record of a local file whose checksum is wrong; torch writes checksums and does not look at them."""
    if not osp.isfile(path) or not zipfile.is_zipfile(path):  # of an old version of torch
        return None
    with zipfile.ZipFile(path) as archive:
        return archive.testzip()


def _look_up(scheme: str, name: str) -> str:
    table = _addresses(scheme)
    if name not in table and scheme in TORCHVISION:
        with suppress(ImportError):  # where it is installed: later names, such as resnet50.imagenet1k_v2
            table = {**_of_mmengine().get_torchvision_models(), **table}
    if not table.get(name):
        raise ValueError(f'{scheme}://{name}: there are no published weights of this name: '
                          + did_you_mean([f'{scheme}://{other}' for other in similar(name, table)], REMEDY))
    return table[name]


def _addresses(scheme: str) -> Dict[str, str]:
    """Name -> address, by the tables that mmengine ships; those of the user's go before."""
    if scheme in TORCHVISION:
        with open(osp.join(osp.dirname(mmengine.__file__), 'hub', 'torchvision_0.12.json')) as file:
            return {**json.load(file), **_own_table()}
    if scheme == 'mmcls':
        return _of_mmengine().get_mmcls_models()
    table, renamed = _of_mmengine().get_external_models(), _of_mmengine().get_deprecated_model_names()
    return {**{old: table.get(new) for old, new in renamed.items()}, **table}


def _of_mmengine() -> ModuleType:
    """Its module of checkpoints, which imports the runner."""
    return importlib.import_module('mmengine.runner.checkpoint')


def _own_folder() -> str:
    """Where mmengine looks for the user's table of ``open-mmlab://`` names."""
    cache = os.getenv('XDG_CACHE_HOME', '~/.cache')
    return osp.expanduser(os.getenv('MMENGINE_HOME', osp.join(cache, 'mmengine')))


def _own_table() -> Dict[str, str]:
    path = osp.join(_own_folder(), 'torchvision.json')
    if not osp.isfile(path):
        return {}
    with open(path, encoding='utf-8') as file:
        try:
            table = json.load(file)
        except ValueError as error:
            raise ValueError(f'{path} is no JSON ({error}): write {{"NAME": "ADDRESS OR FILE"}} or remove it') from None
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise ValueError(f'{path} must hold {{"NAME": "ADDRESS OR FILE"}}: mend or remove it')
    return table


def _own_file(source: str, name: str) -> str:
    """The path of a file that a table names, relative to its folder, in place of an address."""
    path = osp.join(_own_folder(), osp.expanduser(name))
    if not osp.isfile(path):
        raise ValueError(f'{source} stands for the file {path} by a table in {_own_folder()}, and it is not there: '
                         f'mend the table, or {REMEDY}')
    return path


def _is_whole(path: str, digest: Optional[str]) -> bool:
    if digest is None:
        return osp.isfile(path) and not kind_of_file(path) and damaged_record(path) is None
    return has_digest(path, f'sha256:{digest}')


def _download(source: str, address: str, path: str, digest: Optional[str]) -> None:
    """Bring a file into torch's cache, in place of a damaged one; do nothing where another process has done it."""
    from ..utils.console import say  # whose import of mmengine may be what has imported this file
    from ..utils.fetching import fetch
    from ..utils.locks import alone_with
    is_damaged = osp.exists(path)

    def check(part: str) -> None:
        if _is_whole(part, digest):
            return
        if digest is None:
            kind = kind_of_file(part)
            raise ValueError(f'what {address} gave is damaged{kind and ", " + kind}: try again, or {REMEDY}')
        raise ValueError(f'what {address} gave for {source} is damaged or another file (its SHA-256 does not begin '
                         f'with {digest}): put the right one at {path}, or {REMEDY}')

    try:
        with alone_with(f'{path}.lock'):
            if _is_whole(path, digest):
                return
            say(f'init: downloading {address} to {path}' + ', whose copy is damaged' * is_damaged,
                logging.WARNING if is_damaged else logging.INFO)
            fetch(address, path, check=check)
    except OSError as error:
        origin = '' if source == address else f' from {address}'
        state = f', and the copy in {path} is damaged' if is_damaged else ''
        raise OSError(f'{source} cannot be downloaded{origin} ({error}){state}: put that file at {path}, or {REMEDY}'
                      ) from None
