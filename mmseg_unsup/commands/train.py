"""Train a model from a config.

A work directory belongs to one run: where there are checkpoints of one, say whether it goes on (--resume) or gives way
(--restart), or take another --work-dir.

Exit status: 0 finished; 75 stopped by SIGTERM or SIGUSR1 after a checkpoint was written (continue with --resume); 143
or 138 stopped by a second signal; 2 something is wrong with arguments, files or settings; 1 another error.
"""
import argparse

from .arguments import add_runner_arguments, add_speed_arguments


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
    from ..engine.training import train_config
    from ..utils.command_line import config_from, prepare_training
    cfg = config_from(args)
    prepare_training(cfg, args)
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    train_config(cfg, args.restart and not args.resume)
