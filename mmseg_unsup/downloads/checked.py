"""A download that is what was published, or is told not to be."""
import os
import os.path as osp
from contextlib import contextmanager
from typing import Iterator, Optional
from urllib.parse import quote

from ..hosts.safe_loading import kind_of_file
from ..utils.console import say
from ..utils.digests import file_digests
from ..utils.fetching import fetch
from ..utils.paths import printable

_WRONG = '.wrong'
_NONE = 'sha256:'  # which every file has
_OF_ADDRESSES = "%:/?#[]@!$&'()*+,;=~"
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
    return f'{quote(mirror, safe=_OF_ADDRESSES).rstrip("/")}/{name}'


def fetch_checked(address: str, path: str, megabytes: float, digest: Optional[str], elsewhere: str = '--mirror URL'
                  ) -> dict:
    """Download a file and compare its hash before it gets its name; what :func:`check_file` returns.

    Args:
        elsewhere: options that spare this address, for the message.

    Raises:
        OSError: it cannot be had.
        ValueError: its hash is another one; it is put aside, see :func:`judged`.
    """
    name = osp.basename(path)

    def check(part: str) -> dict:
        with judged(part, path):
            return check_file(part, digest, address, name)

    try:
        return fetch(address, path, megabytes, check)
    except OSError as error:
        if error.errno:  # of this disk
            raise
        raise OSError(f'{name} cannot be downloaded from {address} ({error}): check the network, or take it from '
                      f'elsewhere ({elsewhere})') from None


@contextmanager
def judged(file: str, path: str, is_ours: bool = True) -> Iterator[None]:
    """A block that raises ValueError where a file is not what was published.

    Args:
        is_ours: it was downloaded, to be ``path``: it is put aside as ``PATH.wrong``. The user's own stays where it is.
    """
    try:
        yield
    except ValueError as error:
        kind = kind_of_file(file)
        found = f'{error}, {kind}' if kind else str(error)
        if not is_ours:
            raise ValueError(f'{found}: fetch it again') from None
        os.replace(file, f'{path}{_WRONG}')
        raise ValueError(f'{found}; it is kept as {printable(path)}{_WRONG}, and the same command fetches it anew'
                         ) from None


def check_file(path: str, digest: Optional[str], origin: str, name: str) -> dict:
    """What is recorded of a file: ``file``, ``origin``, ``bytes``, ``sha256``, and ``published``, its published hash.

    Args:
        digest: as in :mod:`mmseg_unsup.downloads.table`.
        name: of the file.

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
        say(f'{name}: no hash was published; its SHA-256 is {found["sha256"]}')
    return dict(file=name, origin=origin, bytes=osp.getsize(path), sha256=found['sha256'], published=digest)
