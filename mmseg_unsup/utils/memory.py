"""How much memory there is, before it is asked for."""
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Optional

_CGROUP = '/sys/fs/cgroup'
# where data workers leave their batches
_SHARED = '/dev/shm'


def available_memory() -> Optional[int]:
    """Bytes that this process can still get: free memory of the machine, or what its container may have if that is
    less; all memory of the machine where the system does not say what is free, None where it says nothing."""
    bounds = [bound for bound in (_free_memory(), _container_memory()) if bound is not None]
    return min(bounds, default=None)


def _free_memory() -> Optional[int]:
    with suppress(OSError, StopIteration), open('/proc/meminfo') as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith('MemAvailable:'))
    try:
        return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    except (AttributeError, ValueError, OSError):  # Windows
        return None


def _container_memory() -> Optional[int]:
    try:
        limit, used = (Path(_CGROUP, name).read_text().strip() for name in ('memory.max', 'memory.current'))
    except OSError:
        return None
    return None if limit == 'max' else max(0, int(limit) - int(used))


def free_shared_memory() -> Optional[int]:
    """Bytes that processes can still share; None where the system has no bound of its own."""
    with suppress(OSError):
        return shutil.disk_usage(_SHARED).free
    return None
