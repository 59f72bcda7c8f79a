"""One at a time, and nothing is left of the lock."""
import os
import time
from threading import Thread

import pytest
from filelock import FileLock, Timeout

from mmseg_unsup.utils import locks
from mmseg_unsup.utils.locks import alone_with


def test_one_at_a_time(tmp_path):
    """Also where each one that ends removes file and folder that others wait for."""
    path, inside, most = str(tmp_path / 'a' / 'b' / 'lock'), [], []

    def work() -> None:
        for _ in range(5):
            with alone_with(path):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.002)
                inside.pop()

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 20 and not [path for path in tmp_path.rglob('*') if path.is_file()]


def test_folders_that_were_there_stay(tmp_path):
    (tmp_path / 'mine').mkdir()
    with pytest.raises(ValueError), alone_with(str(tmp_path / 'mine' / 'made' / 'lock')):
        raise ValueError
    assert os.listdir(tmp_path) == ['mine'] and not os.listdir(tmp_path / 'mine')
    with alone_with(str(tmp_path / 'mine' / 'made' / 'lock')):
        (tmp_path / 'mine' / 'made' / 'file').touch()
    assert os.listdir(tmp_path / 'mine' / 'made') == ['file']


def test_who_waits_is_told_at_once(tmp_path, monkeypatch):
    """Without having waited, and once alone."""
    acquire, timeouts, calls = FileLock.acquire, [], []

    def try_to_acquire(self, timeout: float):
        timeouts.append(timeout)
        return acquire(self, timeout / 99)

    def is_waiting() -> None:
        calls.append([*timeouts])
        if len(calls) == 3:
            raise InterruptedError

    said = []
    monkeypatch.setattr(FileLock, 'acquire', try_to_acquire)
    monkeypatch.setattr(locks, 'say', said.append)
    with alone_with(str(tmp_path / 'lock')):
        timeouts.clear()
        with pytest.raises(InterruptedError), alone_with(str(tmp_path / 'lock'), is_waiting=is_waiting):
            pass
    assert calls == [[0], [0, 1], [0, 1, 1]]
    assert said == [f'another process is at work there ({tmp_path / "lock"}): waiting for its end']


def test_who_does_not_wait(tmp_path):
    with alone_with(str(tmp_path / 'lock')):
        with pytest.raises(Timeout), alone_with(str(tmp_path / 'lock'), timeout=0):
            pass
        assert os.listdir(tmp_path) == ['lock']
