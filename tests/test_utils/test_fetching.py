"""Downloads go on where they were cut off, and what comes is what the server has."""
import errno

import numpy as np
import pytest

from mmseg_unsup.utils import fetching
from mmseg_unsup.utils.fetching import fetch, part_size
from ..range_server import serving_ranges

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


def test_a_disk_that_is_full(served, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, 'No space left on device', 'a.zip.partial')

    monkeypatch.setattr(fetching, '_copy', full)
    with serving_ranges(served) as server, pytest.raises(OSError, match='No space left') as raised:
        fetch(f'{server.address}/a.zip', str(tmp_path / 'a.zip'))
    assert raised.value.errno == errno.ENOSPC and len(server.requests) == 1
