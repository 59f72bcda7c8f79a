"""The confusion matrix of a checkpoint as a picture: classes by clusters, in the order of the matched classes.

    mmseg-unsup confusion-matrix mmseg_unsup::picie/picie_fpn_camvid.py epoch_5.pth confusion.png

Evaluates as mmseg-unsup test does. Rows are shares of the pixels of a class.
"""
import argparse

from .arguments import add_runner_arguments, find_config_first


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_runner_arguments(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('out', help='picture to write, .png or .jpg')


def run(args: argparse.Namespace) -> None:
    find_config_first(args)
    from ..analysis.confusion_matrix import draw_confusion
    from ..engine.run_config import config_from
    draw_confusion(config_from(args, ('test', )), args.checkpoint, args.out)
    print(f'confusion matrix: {args.out}')
