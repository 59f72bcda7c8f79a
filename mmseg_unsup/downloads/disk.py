"""Room on the disk, before it is needed."""
import errno
import shutil

from ..utils.paths import nearest_existing, printable


def check_space(folder: str, megabytes: float, what: str) -> None:
    """Raise OSError if the disk of a folder, which may not be there yet, has not so much room for ``what``."""
    free = shutil.disk_usage(nearest_existing(folder)).free / 1e6
    if free < megabytes:
        raise OSError(errno.ENOSPC, f'{what} need about {megabytes_text(megabytes)}, and {megabytes_text(free)} are '
                      'free', printable(folder))


def megabytes_text(megabytes: float) -> str:
    """``0.1 MB``, ``88 MB``, ``19.3 GB``."""
    if megabytes >= 1000:
        return f'{megabytes / 1000:.1f} GB'
    return f'{megabytes:.1f} MB' if megabytes < 10 else f'{megabytes:.0f} MB'
