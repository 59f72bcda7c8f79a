"""Parameters and floating point operations of a model's prediction, part by part.

    mmseg-unsup get-flops mmseg_unsup::picie/picie_fpn_cocostuff.py --size 320 320

A multiplication with its addition counts as one operation, as in mmengine. Copies that only training has (teacher, key
branch) have parameters, but take no part in a prediction.
"""
import argparse

from ..utils.checks import at_least
from .arguments import add_options_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help='config file, or mmseg_unsup::NAME')
    parser.add_argument('--size', type=at_least(1), nargs=2, default=(320, 320), metavar=('H', 'W'),
                        help='of the input (default: 320 320)')
    add_options_argument(parser)


def run(args: argparse.Namespace) -> None:
    from ..analysis.get_flops import describe_operations
    from ..utils import register_all_modules
    from ..weights import load_network_config
    register_all_modules()
    print(describe_operations(load_network_config(args.config, args.cfg_options), args.size))
