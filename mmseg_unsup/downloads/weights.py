"""Weights by name: the work of ``mmseg-unsup download weights``."""
import os.path as osp
from typing import Optional, Sequence

from prettytable import PrettyTable

from ..converters.files import check_place
from ..utils.checks import check_choice
from ..utils.console import say
from ..utils.digests import has_digest
from ..utils.locks import alone_with
from ..utils.paths import printable
from ..utils.weight_addresses import place_in_cache
from .checked import address_of, fetch_checked
from .disk import check_space, megabytes_text
from .table import ON_REQUEST, WEIGHTS


def list_weights() -> str:
    """A table of what there is, and where the rest is had."""
    table = PrettyTable(['name', 'size', 'licence', 'file'], align='l')
    for name, weights in WEIGHTS.items():
        table.add_row([name, megabytes_text(weights.megabytes), weights.licence, osp.basename(weights.address)])
    return f'{table}\n{ON_REQUEST}'


def download_weights(names: Sequence[str], folder: Optional[str] = None, mirror: Optional[str] = None) -> str:
    """Download files of weights; a line for each, with its path.

    Args:
        names: of :data:`WEIGHTS`.
        folder: where they go; None for torch's cache, where configs look for them by their addresses.
        mirror: address of a folder that has the files under their own names.

    Raises:
        OSError: one cannot be had, or the disk has no room.
        ValueError: there is no such name; the file is not the published one.
    """
    for name in names:
        check_choice('file of weights', name, WEIGHTS)
    return '\n'.join(_download(name, folder, mirror) for name in names)


def _download(name: str, folder: Optional[str], mirror: Optional[str]) -> str:
    weights = WEIGHTS[name]
    file = osp.basename(weights.address)
    path = osp.join(osp.expanduser(folder), file) if folder else _cached(weights.address)
    if has_digest(path, weights.digest):
        return f'{name}: {printable(path)} (it was there)'
    address = address_of(weights.address, file, mirror)
    say(f'{name}: {megabytes_text(weights.megabytes)} from {address}; licence: {weights.licence}')
    check_place(osp.dirname(osp.abspath(path)))
    check_space(osp.dirname(path), weights.megabytes, file)
    with alone_with(f'{path}.lock'):  # which a training that needs the file takes too
        if not has_digest(path, weights.digest):
            fetch_checked(address, path, weights.megabytes, weights.digest)
    return f'{name}: {printable(path)}'


def _cached(address: str) -> str:
    """Where an ``init`` that is the address, or ``torchvision://NAME``, is looked for."""
    return place_in_cache(address, is_published=address.startswith('https://download.pytorch.org/'))
