"""Checkpoints of released code, and files that are not replaced by chance."""
import argparse
import errno
import os
import os.path as osp
import re
from typing import Callable, Sequence

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from ..hosts.safe_loading import load_safely, resolve_globals
from ..registry import MODELS
from ..utils.atomic import replacing, write_from_memory
from ..utils.paths import nearest_existing


def convert_file(source: str, target: str, cfg: Config, convert: Callable[[dict], dict],
                 check_fits: Callable[[dict, Config], str], dataset_meta: dict, allow: Sequence[str] = (),
                 force: bool = False) -> str:
    """Convert a released checkpoint into the file that a run of the config would have saved; a line on what it holds.

    Args:
        convert: makes our state dict of the checkpoint.
        check_fits: says what a state dict holds, or raises ValueError.
        dataset_meta: classes and colours, as runs save them.
        allow: globals that the file may load, ``module.name``, beside tensors, plain values and ``argparse.Namespace``,
            whatever other packages have allowed before.
        force: replace ``target`` if it is there.

    Raises:
        FileExistsError: ``target`` is there.
        ValueError: ``target`` is ``source``; it is no such checkpoint, or does not fit the config.
    """
    refuse_existing(target, force, [source])
    allowed = [argparse.Namespace, *resolve_globals(allow, '--allow ')]
    checkpoint = load_safely(source, 'cpu', allowed, 'If you trust the file, add --allow {name}')
    state = convert(checkpoint)
    holds, epoch = check_fits(state, cfg), checkpoint.get('epoch')
    meta = dict(epoch=epoch if isinstance(epoch, int) else 0, source=osp.basename(source), cfg=cfg.pretty_text,
                dataset_meta=dataset_meta)
    with replacing(target) as part:
        write_from_memory(part, lambda file: torch.save(dict(meta=meta, state_dict=state), file))
        refuse_existing(target, force)
    return f'wrote {target}: {holds}, epoch {meta["epoch"]}'


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


def check_place(folder: str) -> None:
    """Raise OSError where a folder is not there and cannot be made, or cannot be written into."""
    place = nearest_existing(folder)
    if not osp.isdir(place):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), place)
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), place)


def refuse_existing(path: str, force: bool, sources: Sequence[str] = ()) -> None:
    """Raise FileExistsError if ``path`` is there and ``force`` is off, ValueError if it is one of the ``sources`` that
    what is to be written is made of."""
    if any(osp.exists(each) and osp.exists(path) and osp.samefile(each, path) for each in sources):
        raise ValueError(f'{path} is to be read and would be lost: choose another name for what is written')
    if osp.lexists(path) and not force:
        raise FileExistsError(f'{path} is there already: choose another name, or replace it with --force')
