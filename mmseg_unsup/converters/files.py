"""Checkpoints of released code, and files that are not replaced by chance."""
import argparse
import os.path as osp
from typing import Sequence

import torch

from ..hosts.safe_loading import load_safely, resolve_globals
from ..utils.atomic import replacing, write_from_memory


def load_released(path: str, allow: Sequence[str] = ()) -> dict:
    """Read a file that was pickled, without running code from it.

    Tensors, plain values and ``argparse.Namespace`` pass; nothing else, whatever other packages have allowed before.

    Args:
        allow: further globals, ``module.name``, that the caller trusts.

    Raises:
        ValueError: the file names another global, or is no checkpoint.
    """
    allowed = [argparse.Namespace, *resolve_globals(allow, '--allow ')]
    return load_safely(path, 'cpu', allowed, 'If you trust the file, add --allow {name}')


def save_atomically(data: dict, path: str, force: bool = False) -> None:
    """Write a new file beside ``path``, then rename it.

    Raises:
        FileExistsError: ``path`` is there and ``force`` is off.
    """
    refuse_existing(path, force)
    with replacing(path) as part:
        write_from_memory(part, lambda file: torch.save(data, file))
        refuse_existing(path, force)


def refuse_existing(path: str, force: bool) -> None:
    """
    Raises:
        FileExistsError: ``path`` is there and ``force`` is off.
    """
    if osp.lexists(path) and not force:
        raise FileExistsError(f'{path} is there already: choose another name, or replace it with --force')
