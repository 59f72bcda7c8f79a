"""What the tools that run a config have in common on the command line."""
import argparse
import os
import os.path as osp

from mmengine.config import Config, DictAction

from .config import load_config
from .distributed import prepare_cpu_launch


def runner_parser(description: str) -> argparse.ArgumentParser:
    """A parser with the arguments that every such tool takes, ``config`` first."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder of logs, scores and checkpoints (default: work_dirs/CONFIG_NAME)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings, key=value; dotted keys reach nested ones, and the variables named in the '
        "config's `shortcuts` (data_root, n_clusters, init) reach every place they stand for")
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    # set by older launchers of torch
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser


def config_from(args: argparse.Namespace) -> Config:
    """Read the config of parsed arguments, with options, launcher and work directory set."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = load_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    default_dir = cfg.get('work_dir') or osp.join('work_dirs', osp.splitext(osp.basename(args.config))[0])
    cfg.work_dir = args.work_dir or default_dir
    prepare_cpu_launch(cfg)
    return cfg
