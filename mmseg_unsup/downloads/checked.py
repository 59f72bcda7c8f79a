"""A download that is what was published, or is told not to be."""
import os
import os.path as osp
from typing import Optional

from ..utils.console import say
from ..utils.digests import file_digests
from ..utils.fetching import fetch
from ..utils.paths import printable

_WRONG = '.wrong'
_NONE = 'sha256:'  # which every file has
SCHEMES = ('http://', 'https://')


def address_of(address: str, name: str, mirror: Optional[str]) -> str:
    """Where a file is fetched from: ``MIRROR/NAME``, or without a mirror its published address.

    Raises:
        ValueError: the mirror is no address.
    """
    if mirror is None:
        return address
    if not mirror.startswith(SCHEMES):
        raise ValueError(f'--mirror {mirror} is no address: give one that begins with http:// or https://, of a folder '
                         'with the files under their own names')
    return f'{mirror.rstrip("/")}/{name}'


def fetch_checked(address: str, path: str, megabytes: float, digest: Optional[str], elsewhere: str = '--mirror URL'
                  ) -> dict:
    """Download a file and compare its hash; what :func:`check_file` returns. One whose hash is wrong is put aside as
    ``PATH.wrong``.

    Args:
        elsewhere: options that spare this address, for the message.

    Raises:
        OSError: it cannot be had.
        ValueError: its hash is another one.
    """
    name = osp.basename(path)
    try:
        fetch(address, path, megabytes)
    except OSError as error:
        if error.errno:  # of this disk
            raise
        raise OSError(f'{name} cannot be downloaded from {address} ({error}): check the network, or take it from '
                      f'elsewhere ({elsewhere})') from None
    try:
        return check_file(path, digest, address)
    except ValueError as error:
        os.replace(path, f'{path}{_WRONG}')
        raise ValueError(f'{error}; it is kept as {printable(path)}{_WRONG}, and the same command fetches it anew'
                         ) from None


def check_file(path: str, digest: Optional[str], origin: str) -> dict:
    """What is recorded of a file: ``file``, ``origin``, ``bytes``, ``sha256``, and ``published``, its published hash.

    Args:
        digest: as in :mod:`mmseg_unsup.downloads.table`.

    Raises:
        ValueError: its hash is another one.
    """
    kind, _, digits = (digest or _NONE).partition(':')
    if kind == 'git':  # of what is in it
        kind, _, digits = _NONE.partition(':')
    found = file_digests(path, {kind, 'sha256'})
    if not found[kind].startswith(digits):
        raise ValueError(f'{origin} is not the file that was published: its {kind.upper()} is {found[kind]}, not '
                         f'{digits}')
    if digest is None:
        say(f'{osp.basename(path)}: no hash was published; its SHA-256 is {found["sha256"]}')
    return dict(file=osp.basename(path), origin=origin, bytes=osp.getsize(path), sha256=found['sha256'],
                published=digest)
