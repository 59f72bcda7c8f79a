"""Evaluate a checkpoint."""
import argparse

from .arguments import add_runner_arguments, find_config_first


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_runner_arguments(parser)
    parser.add_argument('checkpoint', help="checkpoint file; 'none' scores the weights that the model starts from")
    parser.add_argument('--out', help='also write a map of cluster ids per image into this folder')
    parser.add_argument('--save', metavar='FILE', help="with 'none': write a model of those weights and the clusters "
                        'that were fitted to them')
    parser.add_argument('--clusters', help='clusters.json (mmseg-unsup name): score its merged and named clusters, and '
                        'write maps of them')


def run(args: argparse.Namespace) -> None:
    find_config_first(args)
    from ..engine.testing import test_config
    from ..engine.run_config import config_from
    cfg = config_from(args, ('test', ))
    test_config(cfg, None if args.checkpoint == 'none' else args.checkpoint, args.clusters, args.out, args.save)
