"""Files of web servers: a download that was cut off goes on where it ended.

Of the libraries none does that for any address: pooch 1.9 and ``torch.hub`` begin anew, huggingface_hub goes on with
files of its own hub alone. So this asks by ``Range`` (RFC 9110, section 14) through ``urllib``.
"""
import os
import os.path as osp
import re
import time
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from typing import Any, Callable, Iterator, Optional, Tuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from .atomic import naming
from .console import say
from .progress import track_progress

PARTIAL = '.partial'
_MARK = f'{PARTIAL}.version'  # beside it: what the server called the version of the file that the part is of
_PAUSES = (1, 5, 20)  # seconds before a further try, as long as each brings something
_SILENCE = 60  # seconds after which a server that says nothing is given up
_BLOCK = 1 << 20
_RANGE = re.compile(r'bytes (\d+)-(\d+)/(\d+|\*)')


class _NoAnswer(OSError):
    """What a server does not give, or gives wrongly."""


class _OtherFile(_NoAnswer):
    """What the server has is not the rest of the part that is here."""


def fetch(address: str, path: str, megabytes: float = 0, check: Callable[[str], Any] = lambda part: None) -> Any:
    """Download a file, or what is lacking of it; until it is whole it is called ``PATH.partial``; what ``check`` gives.

    A part is only gone on with if the server still has the version that it is of (``ETag`` or ``Last-Modified``);
    servers that give neither, or no ranges, send the file anew.

    Args:
        address: ``http://`` or ``https://``.
        megabytes: about, for the progress display of a server that does not say it.
        check: looks at the whole file before it gets its name; one for which it raises ValueError is removed.

    Raises:
        OSError: it cannot be had, or not all of it, and what came is kept for the next call; it cannot be written.
        ValueError: what ``check`` raises.
    """
    for pause in (*_PAUSES, None):
        before = part_size(path)
        try:
            _receive(address, path, megabytes)
            break
        except _NoAnswer as error:
            if pause is None or part_size(path) <= before:
                raise _explained(error, path) from None
        say(f'{osp.basename(path)}: the connection was lost at {part_size(path) / 1e6:.0f} MB, going on')
        time.sleep(pause)
    try:
        found = check(f'{path}{PARTIAL}')
    except ValueError:
        _forget(path)
        raise
    os.replace(f'{path}{PARTIAL}', path)
    _remove(f'{path}{_MARK}')
    return found


def part_size(path: str) -> int:
    """Bytes that a download of this path has brought so far."""
    return osp.getsize(f'{path}{PARTIAL}') if osp.isfile(f'{path}{PARTIAL}') else 0


def _receive(address: str, path: str, megabytes: float) -> None:
    """One connection, or a second one where the part that is here is of another file. Raises _NoAnswer."""
    try:
        _receive_rest(address, path, megabytes)
    except _OtherFile:
        if not part_size(path):
            raise
        _forget(path)
        _receive_rest(address, path, megabytes)
    finally:
        if not part_size(path):
            _forget(path)


def _receive_rest(address: str, path: str, megabytes: float) -> None:
    have = part_size(path)
    mark = _read_mark(path) if have else ''
    headers = {'User-Agent': 'mmseg-unsup', 'Accept-Encoding': 'identity'}
    if mark:
        headers.update({'Range': f'bytes={have}-', 'If-Range': mark})
    with _told_of_network():
        try:
            response = urlopen(Request(address, headers=headers), timeout=_SILENCE)
        except HTTPError as error:
            if error.code != 416:
                raise
            if error.headers.get('Content-Range') == f'bytes */{have}':  # nothing is lacking
                return
            raise _OtherFile(str(error)) from None
    with response:
        start, total = _span(response, have, mark)
        with track_progress(f'downloading {osp.basename(path)}', round((total or 0) / 1e6 or megabytes),
                            'MB') as advance:
            _copy(response, path, start, _in_megabytes(advance, start))
    size = part_size(path)
    if total is not None and size != total:
        raise _NoAnswer(f'the connection was lost at {size / 1e6:.1f} of {total / 1e6:.1f} MB')
    if not size:
        raise _NoAnswer('the server sent an empty file')


def _span(response: HTTPResponse, have: int, mark: str) -> Tuple[int, Optional[int]]:
    """Where in the file that what comes begins, and how many bytes the whole file has, where that is known.

    Raises:
        _NoAnswer: it is not the file; what is here of it stays.
        _OtherFile: it is not the rest of the file of which ``have`` bytes are here.
    """
    headers = response.headers
    if response.status == 206:
        found = _RANGE.fullmatch(headers.get('Content-Range') or '')
        is_changed = mark.startswith('"') and headers.get('ETag', mark).removeprefix('W/') != mark
        if not found or int(found[1]) != have or _total(found) <= have or is_changed:
            raise _OtherFile('the server sent another part of the file than it was asked for')
        return have, _total(found)
    if response.status not in (200, 203):  # the latter is of a proxy
        raise _NoAnswer(f'the server answered {response.status} {response.reason}')
    if mark and headers.get_content_type() == 'text/html':  # which would take the place of what came before
        raise _NoAnswer('the server sent a page of the web in place of the rest')
    return 0, response.length  # as far as http.client makes sense of Content-Length


def _total(found: re.Match) -> int:
    """Bytes of the whole file, or up to the end of the part where the server does not know them."""
    return int(found[2]) + 1 if found[3] == '*' else int(found[3])


def _copy(response: HTTPResponse, path: str, start: int, tell: Callable[[int], None]) -> None:
    """Write what comes behind the first ``start`` bytes, as it comes: a connection that breaks loses nothing."""
    partial = f'{path}{PARTIAL}'
    os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
    with naming(partial), open(partial, 'ab' if start else 'wb') as file:
        if not start:  # only now is the part of that version
            _write_mark(path, response.headers)
        while block := _block_of(response):
            file.write(block)
            tell(len(block))


def _block_of(response: HTTPResponse) -> bytes:
    with _told_of_network():
        return response.read1(_BLOCK)


@contextmanager
def _told_of_network() -> Iterator[None]:
    """A block in which what goes wrong is of the network, and not of this disk."""
    try:
        yield
    except _NoAnswer:
        raise
    except (OSError, HTTPException, ValueError) as error:  # ValueError: of addresses that are none
        reason = error.reason if type(error) is URLError else error
        raise _NoAnswer(str(reason).rstrip('.') or type(reason).__name__) from None


def _in_megabytes(advance: Callable[[int], None], start: int) -> Callable[[int], None]:
    """What is told bytes, and tells ``advance`` whole megabytes."""
    done = [0, start]  # megabytes, bytes

    def tell(n_bytes: int) -> None:
        done[1] += n_bytes
        more = done[1] // 1_000_000 - done[0]
        done[0] += more
        if more:
            advance(more)

    tell(0)
    return tell


def _read_mark(path: str) -> str:
    if not osp.isfile(f'{path}{_MARK}'):
        return ''
    with open(f'{path}{_MARK}', encoding='latin-1') as file:
        return file.read().strip()


def _write_mark(path: str, headers) -> None:
    """Keep by what ``If-Range`` knows the version again; weak tags do not serve for it."""
    tag = headers.get('ETag') or ''
    with open(f'{path}{_MARK}', 'w', encoding='latin-1') as file:
        file.write(tag if tag.startswith('"') else headers.get('Last-Modified') or '')


def _forget(path: str) -> None:
    """Remove what came of a file."""
    for suffix in (PARTIAL, _MARK):
        _remove(f'{path}{suffix}')


def _remove(path: str) -> None:
    if osp.exists(path):
        os.remove(path)


def _explained(error: _NoAnswer, path: str) -> OSError:
    """The error, and what has come, which stays."""
    kept = part_size(path)
    return OSError(f'{error}; {kept / 1e6:.1f} MB are kept, and the same command goes on with them' if kept else
                   str(error))
