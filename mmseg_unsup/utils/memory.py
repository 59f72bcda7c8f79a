"""How much memory there is, before it is asked for."""
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Optional

import torch

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


def check_memory(what: str, n_bytes: float, remedy: str, device: Optional[torch.device] = None) -> None:
    """Raise MemoryError if there is not so much memory, on the host or on a GPU.

    Args:
        what: needs it, for the message.
    """
    on_gpu = device is not None and device.type == 'cuda'
    available = _gpu_memory(device) if on_gpu else available_memory()
    if available is not None and n_bytes > available:
        raise MemoryError(f'{what} needs about {n_bytes / 2**30:.1f} GiB of memory{" on the GPU" * on_gpu}, but only '
                          f'{available / 2**30:.1f} GiB are free: {remedy}')


def _gpu_memory(device: torch.device) -> int:
    """Bytes that torch can still give, with those that it keeps for later."""
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + kept


def free_shared_memory() -> Optional[int]:
    """Bytes that processes can still share; None where the system has no bound of its own."""
    with suppress(OSError):
        return shutil.disk_usage(_SHARED).free
    return None
