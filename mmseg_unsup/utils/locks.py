"""Files that one process at a time writes to."""
import errno
import logging

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
