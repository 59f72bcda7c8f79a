"""Train a model from a config.

A work directory belongs to one run: where there are checkpoints of one, say whether it goes on (--resume) or gives way
(--restart), or take another --work-dir.

Exit status: 0 finished; 75 stopped by SIGTERM or SIGUSR1 after a checkpoint was written (continue with --resume); 143
or 138 stopped by a second signal; 2 something is wrong with arguments, files or settings; 1 another error.
"""
import argparse
import os.path as osp
import shlex
import sys

from .arguments import add_runner_arguments, add_speed_arguments, find_config_first
from .table import PROG


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_runner_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='continue a run: from the checkpoint PATH, or (auto) from the last one in the work dir')
    parser.add_argument(
        '--restart',
        action='store_true',
        help='start anew; checkpoints in the work dir are removed (not with --resume, which tools/slurm_train.sh adds)')
    add_speed_arguments(parser)


def run(args: argparse.Namespace) -> None:
    find_config_first(args)
    from ..engine.training import train_config
    from ..engine.run_config import config_from, prepare_training
    cfg = config_from(args, ('train', 'val'))
    prepare_training(cfg, args)
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    train_config(cfg, args.restart and not args.resume, _resume_command(args))


def _resume_command(args: argparse.Namespace) -> str:
    """The command line of this process, with --resume alone in the place of --restart and --resume PATH."""
    if args.launcher != 'none':  # which has started this process in its own way
        return 'the same command with --resume'
    program, *words = sys.orig_argv
    if words and osp.basename(words[0]) == PROG:  # a script with the path of its Python
        program, words = PROG, words[1:]
    words = [word for word in words if word not in ('--restart', '--resume', args.resume)
             and word != f'--resume={args.resume}']
    return shlex.join([osp.basename(program), *words, '--resume'])
