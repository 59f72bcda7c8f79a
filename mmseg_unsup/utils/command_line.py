"""What the tools that run a config have in common on the command line."""
import argparse
import os
import os.path as osp
from typing import Optional

import torch
from mmengine.config import Config

from ..version import __version__
from .config import load_config
from .distributed import check_ranks_agree, flatten_config, open_process_group
from .options import parse_options
from .safe_loading import allow_globals
from .speed import adapt_loaders, enable_amp, enable_compile, keep_freed_memory

# Arguments that may differ between processes: places on one machine, and what the config shows already.
_LOCAL_ARGS = ('config', 'cfg_options', 'work_dir', 'launcher', 'local_rank')


class OptionsAction(argparse.Action):
    """Reads ``--cfg-options``; what is no ``key=value`` is an error of usage. Values: see
    :func:`mmseg_unsup.utils.options.parse_options`."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        for i, word in enumerate(values):
            if not word.partition('=')[0] or '=' not in word:
                told = f': write {word}={values[i + 1]}' if values[i + 1:] and '=' not in values[i + 1] else ''
                parser.error(f'{option_string} takes key=value, but {word!r} is none{told}')
        setattr(namespace, self.dest, {**(getattr(namespace, self.dest) or {}), **parse_options(values)})


def add_options_argument(parser: argparse.ArgumentParser,
                         help: str = 'override settings, as in tools/train.py') -> None:
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction, metavar='KEY=VALUE', help=help)


def runner_parser(description: str) -> argparse.ArgumentParser:
    """A parser with the arguments that every such tool takes, ``config`` first."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='config file, or its name, PACKAGE::PATH, such as '
                        'mmseg_unsup::picie/picie_fpn_camvid.py')
    parser.add_argument('--work-dir', help='folder of logs, scores and checkpoints (default: work_dirs/CONFIG_NAME)')
    add_options_argument(
        parser, 'override settings, key=value; dotted keys reach nested ones, and the variables named in the '
        "config's `shortcuts` (data_root, n_clusters, init) reach every place they stand for; a value in quotes of its "
        'own is a text')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    # set by older launchers of torch
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser


def config_from(args: argparse.Namespace) -> Config:
    """Read the config of parsed arguments, with options, launcher and work directory set.

    With a launcher, also opens the process group and makes sure that all processes run the same.

    Raises:
        FileNotFoundError: there is no such config.
        ValueError: the launch is incomplete, or the processes disagree; on all of them. ``allowed_globals`` names
            what does not exist.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = load_config(args.config, args.cfg_options)
    allow_globals(cfg.get('allowed_globals', []))
    cfg.launcher = args.launcher
    default_dir = cfg.get('work_dir') or osp.join('work_dirs', osp.splitext(osp.basename(cfg.filename))[0])
    cfg.work_dir = args.work_dir or default_dir
    adapt_loaders(cfg)
    keep_freed_memory()
    open_process_group(cfg)
    facts = {'the version of torch': str(torch.__version__), 'the version of mmseg_unsup': __version__}
    facts.update((f'the argument {name}', value) for name, value in vars(args).items() if name not in _LOCAL_ARGS)
    facts.update((key, value) for key, value in flatten_config(cfg) if key != 'work_dir')
    check_ranks_agree(facts, 'start all processes with the same command, config and software')
    return cfg


def add_speed_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the tools that train."""
    parser.add_argument('--amp', action='store_true', help='mixed precision, bfloat16 where the device has it')
    parser.add_argument('--compile', action='store_true', help='torch.compile for backbone and neck')


def apply_speed_arguments(cfg: Config, args: argparse.Namespace) -> None:
    """Write them into the config."""
    if args.amp:
        enable_amp(cfg)
    if args.compile:
        enable_compile(cfg)


def prepare_training(cfg: Config, args: argparse.Namespace) -> None:
    """What tools/train.py adds to a config: those options, and hooks that configs of MMSegmentation do not list."""
    hooks = cfg.setdefault('default_hooks', {})
    hooks.setdefault('initialization', dict(type='mmseg_unsup.InitializationHook'))
    hooks.setdefault('check_data', dict(type='mmseg_unsup.CheckDataHook'))
    apply_speed_arguments(cfg, args)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Config and checkpoint of the tools that use a trained model outside a runner."""

    def config(text: str) -> Optional[str]:
        return None if text == 'none' else text

    parser.add_argument('config', type=config,
                        help="config file, or mmseg_unsup::NAME; 'none' for the one in the checkpoint")
    parser.add_argument('checkpoint')
    add_options_argument(parser, 'override settings of the config, key=value')


def add_size_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--size', type=int,
                        help="shorter side that the network sees, in pixels (default: the config's)")
