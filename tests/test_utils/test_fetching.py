"""Downloads go on where they were cut off, and what comes is what the server has."""
import errno
import os
import resource
import urllib.request

import numpy as np
import pytest

from mmseg_unsup.utils import fetching
from mmseg_unsup.utils.fetching import fetch, part_size
from ..range_server import serving_ranges
from ..scripted_server import Answer, answering

CONTENT = np.random.default_rng(0).bytes(3_000_000)


@pytest.fixture
def served(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, '_PAUSES', (0, 0, 0))
    folder = tmp_path / 'served'
    folder.mkdir()
    (folder / 'a.zip').write_bytes(CONTENT)
    return folder


def test_a_connection_that_breaks(served, tmp_path):
    path = tmp_path / 'My Photos' / 'Löwe.zip'
    with serving_ranges(served, cuts=[1_000_000, 500_000]) as server:
        fetch(f'{server.address}/a.zip', str(path))
    assert [asked for _, asked in server.requests] == [None, 'bytes=1000000-', 'bytes=1500000-']
    assert path.read_bytes() == CONTENT and [each.name for each in path.parent.iterdir()] == ['Löwe.zip']


def test_a_download_that_is_begun_again(served, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, '_PAUSES', ())
    path = str(tmp_path / 'a.zip')
    with serving_ranges(served, cuts=[700_000]) as server:
        with pytest.raises(OSError, match=r'^the connection was lost at 0.7 of 3.0 MB; 0.7 MB are kept, and '):
            fetch(f'{server.address}/a.zip', path)
        assert part_size(path) == 700_000
        fetch(f'{server.address}/a.zip', path)
    assert server.requests[1:] == [('a.zip', 'bytes=700000-')]
    assert (tmp_path / 'a.zip').read_bytes() == CONTENT


def test_a_part_of_another_version_is_not_gone_on_with(served, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, '_PAUSES', ())
    path = str(tmp_path / 'a.zip')
    with serving_ranges(served, cuts=[700_000]) as server:
        with pytest.raises(OSError):
            fetch(f'{server.address}/a.zip', path)
        (served / 'a.zip').write_bytes(CONTENT[::-1])
        fetch(f'{server.address}/a.zip', path)
    assert (tmp_path / 'a.zip').read_bytes() == CONTENT[::-1]


def test_a_server_without_ranges(served, tmp_path):
    with serving_ranges(served, cuts=[1_000_000], knows_ranges=False) as server:
        fetch(f'{server.address}/a.zip', str(tmp_path / 'a.zip'))
    assert [asked for _, asked in server.requests] == [None, None]
    assert (tmp_path / 'a.zip').read_bytes() == CONTENT


def test_a_part_that_is_all(served, tmp_path):
    """As of a process that was killed before it renamed the file."""
    path = str(tmp_path / 'a.zip')
    with serving_ranges(served, cuts=[1_000_000]) as server:
        with pytest.MonkeyPatch.context() as without:
            without.setattr(fetching, '_PAUSES', ())
            with pytest.raises(OSError):
                fetch(f'{server.address}/a.zip', path)
        (tmp_path / 'a.zip.partial').write_bytes(CONTENT)
        fetch(f'{server.address}/a.zip', path)
    assert (tmp_path / 'a.zip').read_bytes() == CONTENT


def test_what_cannot_be_had(served, tmp_path):
    path = str(tmp_path / 'a.zip')
    with serving_ranges(served, cuts=[0]) as server:
        with pytest.raises(OSError, match='404.*Not Found'):
            fetch(f'{server.address}/b.zip', path)
        with pytest.raises(OSError, match='^the connection was lost at 0.0 of 3.0 MB$'):  # tried once: nothing came
            fetch(f'{server.address}/a.zip', path)
    with pytest.raises(OSError, match='refused'):
        fetch(f'{server.address}/a.zip', path)
    assert len(server.requests) == 2 and not (tmp_path / 'a.zip').exists()


def test_a_disk_that_is_full(served, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with serving_ranges(served) as server:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, limits[1]))
        try:
            with pytest.raises(OSError) as raised:
                fetch(f'{server.address}/a.zip', str(tmp_path / 'a.zip'))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert raised.value.errno == errno.EFBIG and raised.value.filename == str(tmp_path / 'a.zip.partial')
        fetch(f'{server.address}/a.zip', str(tmp_path / 'a.zip'))
    assert server.requests[1:] == [('a.zip', 'bytes=2000000-')] and (tmp_path / 'a.zip').read_bytes() == CONTENT


SMALL = CONTENT[:5000]
TAG = {'ETag': '"1"'}
FIRST = Answer(SMALL[:2000], headers={**TAG, 'Content-Length': '5000'})


def part(start: int, end: int, **headers) -> Answer:
    return Answer(SMALL[start:end], 206, {'Content-Range': f'bytes {start}-{end - 1}/5000', **headers})


def unsized(content: bytes, end: int = 4999) -> Answer:
    """A rest of a file of which the server does not know the size (RFC 9110, 14.4)."""
    return Answer(content, 206, {'Content-Range': f'bytes 2000-{end}/*', 'Content-Length': None})


@pytest.mark.parametrize('second, ranges', [
    (part(1000, 5000), ['bytes=2000-', None]),
    (Answer(SMALL[2000:], 206), ['bytes=2000-', None]),
    (Answer(b'--x', 206, {'Content-Type': 'multipart/byteranges; boundary=x'}), ['bytes=2000-', None]),
    (part(2000, 5000, ETag='"2"'), ['bytes=2000-', None]),
    (Answer(b'', 206, {'Content-Range': 'bytes 2000-1999/1500'}), ['bytes=2000-', None]),
    (Answer(b'', 416), ['bytes=2000-', None]),
    (part(2000, 5000, ETag='W/"1"'), ['bytes=2000-']),
    (part(2000, 3000), ['bytes=2000-', 'bytes=3000-']),  # less than was asked for
    (unsized(SMALL[2000:]), ['bytes=2000-']),
    (unsized(SMALL[2000:3000]), ['bytes=2000-', 'bytes=3000-']),  # the connection was lost
    (unsized(b'', end=1999), ['bytes=2000-', None]),
], ids=['elsewhere', 'nowhere', 'several', 'changed', 'shorter', 'none', 'weak', 'less', 'unsized',
        'unsized and less', 'unsized and empty'])
def test_a_rest_that_is_none(second, ranges, served, tmp_path):
    """What is not the rest of the part is not put behind it; the file comes anew."""
    last = part(3000, 5000) if len(ranges) > 1 and ranges[1] else Answer(SMALL, headers=TAG)
    with answering(FIRST, second, last) as server:
        fetch(server.address, str(tmp_path / 'a.zip'))
    assert server.ranges == [None, *ranges]
    assert (tmp_path / 'a.zip').read_bytes() == SMALL
    assert {*os.listdir(tmp_path)} == {'a.zip', 'served'}


@pytest.mark.parametrize('answer, message', [
    (Answer(b'', 204), 'the server answered 204 No Content'),
    (Answer(b'', 200), 'the server sent an empty file'),
    (Answer(b'', 503), 'HTTP Error 503: Service Unavailable'),
    (Answer(b'', 302, {'Location': '/again'}), 'HTTP Error 302: .*infinite loop'),
    (Answer(b'', 302, {'Location': 'file:///etc/passwd'}), 'HTTP Error 302: .*not allowed'),
    (Answer(SMALL, 206, {'Content-Range': 'bytes 10-5009/9000'}), 'sent another part of the file than it was asked'),
    (Answer(b'', headers={'Content-Length': '9000'}), 'the connection was lost at 0.0 of 0.0 MB'),
])
def test_answers_that_bring_nothing(answer, message, served, tmp_path):
    with answering(answer) as server, pytest.raises(OSError, match=message) as raised:
        fetch(server.address, str(tmp_path / 'My Photos' / 'a.zip'))
    assert raised.value.errno is None and 'kept' not in str(raised.value)
    assert not (tmp_path / 'My Photos').exists() or not os.listdir(tmp_path / 'My Photos')


@pytest.mark.parametrize('address', ['http://127.0.0.1:port/', 'http://[/a', 'http:///a', 'http://127.0.0.1:9/ü',
                                     'http://127.0.0.1:9/a b', 'http://no.such.host.invalid/a'])
def test_addresses_that_are_none(address, tmp_path):
    with pytest.raises(OSError) as raised:
        fetch(address, str(tmp_path / 'a.zip'))
    assert raised.value.errno is None and not os.listdir(tmp_path)


@pytest.mark.parametrize('length', ['abc', '-5', None])
def test_a_length_that_is_none(length, tmp_path):
    with answering(Answer(SMALL, headers={'Content-Length': length})) as server:
        fetch(server.address, str(tmp_path / 'a.zip'))
    assert (tmp_path / 'a.zip').read_bytes() == SMALL


def test_what_came_in_pieces_is_kept(served, tmp_path, monkeypatch):
    """Also of less than a block, by an answer whose length nobody knows."""
    monkeypatch.setattr(fetching, '_PAUSES', ())
    chunked = {'Content-Length': None, 'Transfer-Encoding': 'chunked', **TAG}
    with answering(Answer(b'7d0\r\n' + SMALL[:2000] + b'\r\n', headers=chunked), part(2000, 5000)) as server:
        server.RequestHandlerClass.protocol_version = 'HTTP/1.1'
        with pytest.raises(OSError, match='; 0.0 MB are kept'):
            fetch(server.address, str(tmp_path / 'a.zip'))
        assert part_size(str(tmp_path / 'a.zip')) == 2000
        fetch(server.address, str(tmp_path / 'a.zip'))
    assert (tmp_path / 'a.zip').read_bytes() == SMALL


def test_a_page_of_the_web_does_not_replace_what_came(served, tmp_path):
    """As of a network that asks to log in again."""
    page = Answer(b'<html>log in</html>', headers={'Content-Type': 'text/html; charset=utf-8'})
    path = str(tmp_path / 'a.zip')
    with answering(FIRST, page) as server:
        with pytest.raises(OSError, match='sent a page of the web in place of the rest; 0.0 MB are kept'):
            fetch(server.address, path)
        server.answers[:] = [part(2000, 5000)]
        fetch(server.address, path)
    assert (tmp_path / 'a.zip').read_bytes() == SMALL


def test_the_version_is_known_after_two_breaks(served, tmp_path):
    """A rest need not repeat by what the version is known (RFC 9110, 15.3.7)."""
    dated = Answer(SMALL[:2000], headers={'Last-Modified': 'Mon, 01 Jan 2024 00:00:00 GMT', 'Content-Length': '5000'})
    with answering(dated, part(2000, 3000), part(3000, 4000), part(4000, 5000)) as server:
        fetch(server.address, str(tmp_path / 'a.zip'))
    assert server.ranges == [None, 'bytes=2000-', 'bytes=3000-', 'bytes=4000-']


def test_a_file_is_checked_before_it_has_its_name(served, tmp_path):
    path = tmp_path / 'a.zip'
    path.write_bytes(b'mine')

    def check(part: str) -> int:
        assert path.read_bytes() == b'mine'
        if os.path.getsize(part) != 5000:
            raise ValueError('not it')
        return 7

    with answering(Answer(SMALL[1:]), Answer(SMALL)) as server:
        with pytest.raises(ValueError, match='not it'):
            fetch(server.address, str(path), check=check)
        assert path.read_bytes() == b'mine' and {*os.listdir(tmp_path)} == {'a.zip', 'served'}
        assert fetch(server.address, str(path), check=check) == 7
    assert path.read_bytes() == SMALL and {*os.listdir(tmp_path)} == {'a.zip', 'served'}


def test_a_proxy(served, tmp_path, monkeypatch):
    for name in ('no_proxy', 'NO_PROXY', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(urllib.request, '_opener', None)  # which has what a former test set
    with answering(Answer(SMALL)) as proxy, answering(Answer(SMALL[::-1])) as server:
        monkeypatch.setenv('http_proxy', proxy.address)
        fetch('http://no.such.host.invalid/a.zip', str(tmp_path / 'a.zip'))
        assert (tmp_path / 'a.zip').read_bytes() == SMALL
        monkeypatch.setenv('no_proxy', '127.0.0.1')
        fetch(server.address, str(tmp_path / 'a.zip'))
    assert (tmp_path / 'a.zip').read_bytes() == SMALL[::-1]
