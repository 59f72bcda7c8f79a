"""Files that one process at a time writes to."""
import errno
import logging
import time
from contextlib import contextmanager
from typing import Callable, Iterator

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
def taking_turns(path: str, is_waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """A block of which one process at a time is in; the others wait.

    Args:
        path: of the file that is locked, which is made.
        is_waiting: called every second.
    """
    with open(path, 'ab') as file:
        if not take_lock(file.fileno(), path):
            say(f'another process is at work there ({path}): waiting for its end')
            while not take_lock(file.fileno(), path):
                is_waiting()
                time.sleep(1)
        yield
