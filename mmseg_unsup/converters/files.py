"""Checkpoints of released code, and files that are not replaced by chance."""
import argparse
import os.path as osp
import re
from typing import Sequence

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from ..hosts.safe_loading import load_safely, resolve_globals
from ..registry import MODELS
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


def check_tensors(state: dict, cfg: Config, not_needed: re.Pattern, any_shape: str = '') -> None:
    """Compare a converted state dict with the model of a config.

    Args:
        not_needed: finds names that may be missing.
        any_shape: end of names whose tensors may have another shape.

    Raises:
        ValueError: missing, unknown or misshaped tensors, in this order.
    """
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    expected = MODELS.build(cfg.model).state_dict()
    missing = [key for key in expected if key not in state and not not_needed.search(key)]
    unknown = [key for key in state if key not in expected]
    if missing or unknown:
        raise ValueError(f'the checkpoint does not fit the model of the config (depth {cfg.model.backbone.depth}); '
                         f'missing: {missing[:3] or "none"}, unknown: {unknown[:3] or "none"}')
    for key, value in state.items():
        if value.shape != expected[key].shape and not (any_shape and key.endswith(any_shape)):
            raise ValueError(f'{key} has shape {tuple(value.shape)} in the checkpoint, but '
                             f'{tuple(expected[key].shape)} in the model of the config')


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
