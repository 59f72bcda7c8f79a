"""Settings of config and process that make runs faster."""
import ctypes
import functools
import os
from typing import Optional

import torch
from mmengine.config import Config

from .cpu import cpu_has

# keys of loaders in configs
LOADERS = ('train_dataloader', 'probe_dataloader', 'val_dataloader', 'test_dataloader')


def adapt_loaders(cfg: Config) -> None:
    """Pin no memory where there is no GPU to copy it to: torch would warn at every loader. Keep no workers of a loader
    that has none, which torch refuses."""
    for loader in (cfg[name] for name in LOADERS if cfg.get(name)):
        if not torch.cuda.is_available() and 'pin_memory' in loader:
            loader.pin_memory = False
        if not loader.get('num_workers'):
            loader.persistent_workers = False


def keep_freed_memory() -> bool:
    """Let the C library keep freed memory, where there is no GPU; True where that is possible.

    glibc returns every block of more than 32 MB at once, and the kernel clears its pages anew at the next allocation: a
    tenth of the time of a training epoch. The peak of memory grows by about as much.
    """
    if torch.cuda.is_available():
        return False
    mallopt = _of_c_library('mallopt')
    if mallopt is None:
        return False
    trim_before_forks()  # workers would keep what this process holds in reserve
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
    return bool(mallopt(mmap_threshold, 2**30) and mallopt(trim_threshold, 2**31 - 1))


@functools.lru_cache(None)  # once in a process
def trim_before_forks() -> bool:
    """Hand freed memory back before every fork; True where that is possible.

    A data worker begins with all pages of this process, and keeps those that this process writes to afterwards. Pages
    in which nothing lies any more, gigabytes after a pass of a network, would be held by each worker.
    """
    malloc_trim = _of_c_library('malloc_trim')
    if malloc_trim is None or not hasattr(os, 'register_at_fork'):  # Windows has no fork
        return False
    os.register_at_fork(before=lambda: malloc_trim(0))
    return True


def _of_c_library(name: str):
    """A function of glibc; None with another C library."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None


def computes_in_bfloat16(device_type: str) -> bool:
    """Whether the ``'cpu'`` or ``'cuda'`` device has products in bfloat16; others would emulate them."""
    if device_type == 'cuda':
        return torch.cuda.get_device_capability() >= (8, 0)
    return bool(cpu_has('avx512_bf16', 'amx_bf16', 'bf16'))


def amp_dtype(device: Optional[torch.device] = None) -> torch.dtype:
    """What mixed precision computes in on a device, by default the GPU where there is one: bfloat16, or float16 on GPUs
    that would emulate it."""
    is_gpu = torch.cuda.is_available() if device is None else device.type == 'cuda'
    return torch.float16 if is_gpu and not computes_in_bfloat16('cuda') else torch.bfloat16


def enable_amp(cfg: Config) -> None:
    """Mixed precision: bfloat16 where the device computes in it, float16 with loss scaling on older GPUs.

    Raises:
        ValueError: the config has an optimiser wrapper of another kind, whose behaviour would be lost.
    """
    kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if kind in ('AmpOptimWrapper', 'mmseg_unsup.BFloat16OptimWrapper'):
        return
    if kind != 'OptimWrapper':
        raise ValueError(f'--amp cannot replace optim_wrapper.type={kind!r}: set a wrapper with mixed precision in the '
                         'config')
    if amp_dtype() == torch.float16:
        cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    else:
        cfg.optim_wrapper.type = 'mmseg_unsup.BFloat16OptimWrapper'
