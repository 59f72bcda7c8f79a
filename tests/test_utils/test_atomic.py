"""A file is the old one or the new one."""
import os
import signal
import subprocess
import sys

import pytest

from mmseg_unsup.utils.atomic import replacing
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
