"""A file is the old one or the new one."""
import errno
import json
import os
import re
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
import torch

from mmseg_unsup.utils.atomic import remove_parts, replacing, write_from_memory, write_json
from ..conftest import ROOT


def test_the_new_file_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / 'file'
    path.write_text('old')
    with replacing(str(path)) as part:
        with open(part, 'w') as file:
            file.write('new')
        assert path.read_text() == 'old' and os.path.dirname(part) == str(tmp_path)
    assert path.read_text() == 'new' and os.listdir(tmp_path) == ['file']


def test_a_failure_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / 'file'
    path.write_text('old')
    with pytest.raises(RuntimeError), replacing(str(path)) as part:
        with open(part, 'w') as file:
            file.write('half')
        raise RuntimeError
    assert path.read_text() == 'old' and os.listdir(tmp_path) == ['file']
    monkeypatch.chdir(tmp_path)
    with replacing('here') as part:
        open(part, 'w').close()
    assert sorted(os.listdir(tmp_path)) == ['file', 'here']


@contextmanager
def file_limit(n_bytes: int):
    """No file becomes larger in the block, as on a full disk."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


def test_a_full_disk_is_one_error_with_the_path(tmp_path):
    """``torch.save`` alone raises RuntimeError: unexpected pos 576 vs 534."""
    path, state = str(tmp_path / 'weights.pth'), dict(weight=torch.arange(30_000.))
    with file_limit(100_000), pytest.raises(OSError, match=f'File too large: .*: {re.escape(repr(path))}$') as caught:
        with replacing(path) as part:
            write_from_memory(part, lambda file: torch.save(state, file))
    assert caught.value.errno == errno.EFBIG and not os.listdir(tmp_path)
    with replacing(path) as part:
        write_from_memory(part, lambda file: torch.save(state, file))
    torch.testing.assert_close(torch.load(path, weights_only=True), state, rtol=0, atol=0)


def test_json_of_any_name(tmp_path):
    value = dict(folder=os.fsdecode(b'caf\xe9'), name='caf\u00e9')
    write_json(str(tmp_path / 'a.json'), value)
    assert json.loads((tmp_path / 'a.json').read_text(encoding='utf-8')) == value
    assert 'caf\u00e9' in (tmp_path / 'a.json').read_text(encoding='utf-8')


def test_errors_name_the_file_that_was_to_be_written(tmp_path):
    (tmp_path / 'folder').mkdir()
    for name, reason in (('folder', 'Is a directory'), ('nowhere/file', 'No such file or directory')):
        path = str(tmp_path / name)
        with pytest.raises(OSError, match=f'{reason}: .*{re.escape(repr(path))}$'):
            with replacing(path) as part, open(part, 'w') as file:
                file.write('new')
    with pytest.raises(FileNotFoundError, match="'read'$"), replacing(str(tmp_path / 'file')):
        open('read')
    assert os.listdir(tmp_path) == ['folder']


KILLED = '''
import os, signal, sys
from mmseg_unsup.utils.atomic import replacing
with replacing(sys.argv[1]) as part:
    with open(part, 'w') as file:
        file.write('half')
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
'''


def test_a_killed_process_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / 'file'
    path.write_text('old')
    done = subprocess.run([sys.executable, '-c', KILLED, str(path)], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL and path.read_text() == 'old'


def test_a_full_disk_is_an_error_of_that_file(tmp_path):
    path = tmp_path / 'file'
    path.write_text('old')
    with pytest.raises(OSError) as error, replacing(str(path)) as part:
        open(part, 'w').close()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as write() raises it
    assert error.value.errno == errno.ENOSPC and error.value.filename == str(path)
    assert 'No space left on device: nothing was written, and what was there before is whole' in str(error.value)
    assert path.read_text() == 'old' and os.listdir(tmp_path) == ['file']
    path = tmp_path / 'nowhere' / 'file'
    with pytest.raises(FileNotFoundError, match="nowhere/file'$"), replacing(str(path)) as part:
        open(part, 'w')
    with pytest.raises(FileNotFoundError, match="other'$"), replacing(str(path)):
        open(tmp_path / 'other')


def test_names_as_long_as_a_file_system_takes_them(tmp_path):
    for name in ('x' * 255, 'é' * 127, 'x' * 254):
        with replacing(str(tmp_path / name)) as part:
            assert part.endswith('.part') and os.path.dirname(part) == str(tmp_path)
            with open(part, 'w') as file:
                file.write(name)
        assert (tmp_path / name).read_text() == name
    with pytest.raises(RuntimeError), replacing(str(tmp_path / ('x' * 255))) as part:
        open(part, 'w').close()
        remove_parts(str(tmp_path))
        assert not os.path.exists(part)
        raise RuntimeError
