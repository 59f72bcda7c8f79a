"""Files of web servers: a download that was cut off goes on where it ended.

Of the libraries none does that for any address: pooch 1.9 and ``torch.hub`` begin anew, huggingface_hub goes on with
files of its own hub alone. So this asks by ``Range`` (RFC 9110, section 14) through ``urllib``.
"""
import os
import os.path as osp
import ssl
import time
from http.client import HTTPException
from typing import Callable, Optional
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from .console import say
from .progress import track_progress

PARTIAL = '.partial'
_MARK = f'{PARTIAL}.version'  # beside it: what the server called the version of the file that the part is of
_PAUSES = (1, 5, 20)  # seconds before a further try, as long as each brings something
_SILENCE = 60  # seconds after which a server that says nothing is given up
_BLOCK = 1 << 20
_OF_NETWORK = (URLError, HTTPException, ConnectionError, TimeoutError, ssl.SSLError)


class CutOff(OSError):
    """A connection ended before the file did."""


def fetch(address: str, path: str, megabytes: float = 0) -> None:
    """Download a file, or what is lacking of it; until it is whole it is called ``PATH.partial``.

    A part is only gone on with if the server still has the version that it is of (``ETag`` or ``Last-Modified``);
    servers that give neither, or no ranges, send the file anew.

    Args:
        address: ``http://`` or ``https://``.
        megabytes: about, for the progress display of a server that does not say it.

    Raises:
        OSError: it cannot be had, or not all of it, and what came is kept for the next call; it cannot be written.
    """
    os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
    for pause in (*_PAUSES, None):
        before = part_size(path)
        try:
            _receive(address, path, megabytes)
            break
        except (*_OF_NETWORK, CutOff) as error:
            if pause is None or part_size(path) <= before:
                raise _explained(error, path) from None
        say(f'{osp.basename(path)}: the connection was lost at {part_size(path) / 1e6:.0f} MB, going on')
        time.sleep(pause)
    os.replace(f'{path}{PARTIAL}', path)
    _forget(f'{path}{_MARK}')


def part_size(path: str) -> int:
    """Bytes that a download of this path has brought so far."""
    return osp.getsize(f'{path}{PARTIAL}') if osp.isfile(f'{path}{PARTIAL}') else 0


def _receive(address: str, path: str, megabytes: float) -> None:
    """One connection. Raises CutOff, or what ``urllib`` raises."""
    have, mark = part_size(path), _read_mark(path)
    request = Request(address, headers={'User-Agent': 'mmseg-unsup', 'Accept-Encoding': 'identity'})
    if have and mark:
        request.add_header('Range', f'bytes={have}-')
        request.add_header('If-Range', mark)
    try:
        response = urlopen(request, timeout=_SILENCE)
    except HTTPError as error:
        if error.code == 416 and error.headers.get('Content-Range') == f'bytes */{have}':  # nothing is lacking
            return
        raise
    with response:
        goes_on = response.status == 206 and str(response.headers.get('Content-Range')).startswith(f'bytes {have}-')
        start = have if goes_on else 0
        length = response.headers.get('Content-Length')
        total = None if length is None else start + int(length)
        _write_mark(path, response.headers)
        with track_progress(f'downloading {osp.basename(path)}', round(total / 1e6 if total else megabytes),
                            'MB') as advance:
            _copy(response, f'{path}{PARTIAL}', goes_on, _in_megabytes(advance, start))
    if total is not None and part_size(path) != total:
        raise CutOff(f'the connection was lost at {part_size(path) / 1e6:.1f} of {total / 1e6:.1f} MB')


def _copy(response, partial: str, goes_on: bool, tell: Callable[[int], None]) -> None:
    with open(partial, 'ab' if goes_on else 'wb') as file:
        for block in iter(lambda: response.read(_BLOCK), b''):
            file.write(block)
            tell(len(block))


def _in_megabytes(advance: Callable[[int], None], start: int) -> Callable[[int], None]:
    """What is told bytes, and tells ``advance`` whole megabytes."""
    done = [0, start]  # megabytes, bytes

    def tell(n_bytes: int) -> None:
        done[1] += n_bytes
        more = done[1] // 1_000_000 - done[0]
        done[0] += more
        advance(more)

    tell(0)
    return tell


def _read_mark(path: str) -> Optional[str]:
    if not osp.isfile(f'{path}{_MARK}'):
        return None
    with open(f'{path}{_MARK}', encoding='latin-1') as file:
        return file.read().strip() or None


def _write_mark(path: str, headers) -> None:
    """Keep by what ``If-Range`` knows the version again; weak tags do not serve for it."""
    tag = headers.get('ETag') or ''
    with open(f'{path}{_MARK}', 'w', encoding='latin-1') as file:
        file.write(tag if tag.startswith('"') else headers.get('Last-Modified') or '')


def _forget(path: str) -> None:
    if osp.exists(path):
        os.remove(path)


def _explained(error: Exception, path: str) -> OSError:
    """The error in words of the user's; what has come stays."""
    reason = error.reason if type(error) is URLError else error
    said = f'{str(reason).rstrip(".") or type(reason).__name__}'
    kept = part_size(path)
    return OSError(f'{said}; {kept / 1e6:.1f} MB are kept, and the same command goes on with them' if kept else said)
