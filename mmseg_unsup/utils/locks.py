"""Files that one process at a time writes to."""
import errno
import logging
import os
import os.path as osp
import time
from contextlib import contextmanager, suppress
from typing import Callable, Iterator

from filelock import FileLock, Timeout

from .atomic import made_folder
from .console import say

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


def take_lock(descriptor: int, path: str, start: int = 0, length: int = 0) -> bool:
    """Whether this process has the lock of an open file from now on, until it closes the file or ends.

    The lock is of the process (POSIX): data workers do not keep it alive, and it works on NFS. Where there are no locks
    it is always granted, on a file system without them with a warning.

    Args:
        start, length: bytes of the file that the lock is of; all of them by default.
    """
    if fcntl is None:
        return True
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        say(f'{path} cannot be locked ({error.strerror}): do not start a second run there', logging.WARNING)
    return True


@contextmanager
def alone_with(path: str, timeout: float = float('inf'), is_waiting: Callable[[], None] = lambda: None
               ) -> Iterator[None]:
    """A block that one process, or thread, at a time is in. Its folder is there meanwhile.

    The file goes with the block, and so do folders that were made for it, are empty, and that nobody waits in. That is
    no race with those who wait: FileLock, from 3.21 on, begins anew where what it locked has no name any more.

    Args:
        path: of the lock; nothing else may be there. The block must not remove it: another one would get in.
        timeout: seconds to wait for the others.
        is_waiting: called at once, and every second meanwhile.

    Raises:
        filelock.Timeout: another one is in the block.
    """
    folder = osp.dirname(osp.abspath(path))
    with made_folder(folder), _acquired(FileLock(path), folder, time.monotonic() + timeout, is_waiting):
        try:
            yield
        finally:
            with suppress(OSError):  # Windows removes no open file
                os.remove(path)


@contextmanager
def _acquired(lock: FileLock, folder: str, end: float, is_waiting: Callable[[], None]) -> Iterator[None]:
    wait = 0.  # at first, so that people are told at once
    while not lock.is_locked:
        os.makedirs(folder, exist_ok=True)
        try:
            lock.acquire(timeout=wait)
        except FileNotFoundError:  # another process left the block just now, and the folder with it
            continue
        except Timeout:
            if time.monotonic() >= end:
                raise
            if not wait:
                say(f'another process is at work there ({lock.lock_file}): waiting for its end')
            is_waiting()
            wait = min(1, max(end - time.monotonic(), 0))
    try:
        yield
    finally:
        lock.release()
