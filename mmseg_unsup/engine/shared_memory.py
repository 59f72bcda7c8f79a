"""Memory that data workers share with the process that trains: a worker that gets none dies of a bus error."""
import logging
import math
import os
from typing import Any

from mmengine.structures import BaseDataElement
from torch import Tensor
from torch.utils.data import DataLoader

from ..utils.console import say
from ..utils.memory import free_shared_memory
from .run_state import random_state, set_random_state


def warn_of_shared_memory(loader: DataLoader) -> None:
    """Say before the first batch is read if those that workers hold ready may not fit; reads one image.

    The workers of each process of this machine hold ``prefetch_factor`` batches each.
    """
    free = free_shared_memory()
    if not loader.num_workers or free is None:
        return
    n_batches = loader.num_workers * loader.prefetch_factor * int(os.environ.get('LOCAL_WORLD_SIZE', 1))
    needed = n_batches * (loader.batch_size or 1) * _bytes_of_image(loader)
    if needed > free:
        gib = math.ceil(needed / 2**30)
        say(f'{loader.num_workers} data workers hold up to {needed / 2**20:,.0f} MiB of batches ready, but /dev/shm '
            f'has {free / 2**20:,.0f} MiB left, and a worker that finds it full dies of a bus error: enlarge it '
            f'(docker run --shm-size={gib}g, mount -o remount,size={gib}G /dev/shm), or take fewer '
            'train_dataloader.num_workers', logging.WARNING)


def _bytes_of_image(loader: DataLoader) -> int:
    """Of the tensors that a batch of one image has; random states stay."""
    state = random_state()
    try:
        return _bytes(loader.collate_fn([loader.dataset[0]]))
    finally:
        set_random_state(state)


def _bytes(values: Any) -> int:
    if isinstance(values, Tensor):
        return values.numel() * values.element_size()
    if isinstance(values, (dict, BaseDataElement)):
        return sum(map(_bytes, values.values()))
    return sum(map(_bytes, values)) if isinstance(values, (list, tuple)) else 0
