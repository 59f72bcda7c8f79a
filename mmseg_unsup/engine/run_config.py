"""From the arguments of a command to the config that it runs."""
import argparse
import os
import os.path as osp
import re
from typing import Sequence

import torch
from mmengine.config import Config

from ..hosts.safe_loading import allow_globals
from ..version import __version__
from ..utils.config_check import check_config
from ..utils.config_keys import flatten_config
from ..utils.distributed import check_ranks_agree, open_process_group
from ..utils.speed import adapt_loaders, enable_amp, keep_freed_memory
from ..weights import load_network_config

# Arguments that may differ between processes: places on one machine, and what the config shows already.
_LOCAL_ARGS = ('config', 'cfg_options', 'work_dir', 'launcher', 'local_rank')
# Keys of the config that may.
_OF_MACHINE = re.compile(r'work_dir|\w+_dataloader\.(num_workers|persistent_workers)')


def config_from(args: argparse.Namespace, stages: Sequence[str]) -> Config:
    """Read the config of parsed arguments, with options, launcher and work directory set.

    With a launcher, also opens the process group and makes sure that all processes run the same.

    Args:
        stages: what it is for, see :func:`mmseg_unsup.utils.config_check.check_config`.

    Raises:
        FileNotFoundError: there is no such config.
        ImportError: it needs a package that is not there.
        ValueError: something in the config is wrong; the launch is incomplete, or the processes disagree; on all of
            them. ``allowed_globals`` names what does not exist.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = load_network_config(args.config, args.cfg_options)
    check_config(cfg, stages)
    allow_globals(cfg.get('allowed_globals', []))
    cfg.launcher = args.launcher
    default_dir = cfg.get('work_dir') or osp.join('work_dirs', osp.splitext(osp.basename(cfg.filename))[0])
    cfg.work_dir = args.work_dir or default_dir
    adapt_loaders(cfg)
    keep_freed_memory()
    open_process_group(cfg)
    facts = {'the version of torch': str(torch.__version__), 'the version of mmseg_unsup': __version__}
    facts.update((f'the argument {name}', value) for name, value in vars(args).items() if name not in _LOCAL_ARGS)
    facts.update((key, value) for key, value in flatten_config(cfg) if not _OF_MACHINE.fullmatch(key))
    check_ranks_agree(facts, 'start all processes with the same command, config and software')
    return cfg


def apply_speed_arguments(cfg: Config, args: argparse.Namespace) -> None:
    """Write them into the config."""
    if args.amp:
        enable_amp(cfg)
    if args.compile:
        cfg.default_hooks.compile = dict(type='mmseg_unsup.CompileHook')


def prepare_training(cfg: Config, args: argparse.Namespace) -> None:
    """What tools/train.py adds to a config: those options, and hooks that configs of MMSegmentation do not list."""
    hooks = cfg.setdefault('default_hooks', {})
    hooks.setdefault('initialization', dict(type='mmseg_unsup.InitializationHook'))
    hooks.setdefault('check_data', dict(type='mmseg_unsup.CheckDataHook'))
    apply_speed_arguments(cfg, args)
