"""Make object masks from label maps: the upper bound of what mask priors could give.

    mmseg-unsup labels-to-masks LABELS MASKS --objects 8 9

LABELS/a/b.png becomes MASKS/a/b.png, 255 where the label is one of --objects, 0 elsewhere.
"""
import argparse

from ..utils.checks import at_least


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('labels', help='folder of label maps')
    parser.add_argument('out', help='folder of the masks')
    parser.add_argument('--objects', type=at_least(0), nargs='+', required=True,
                        help='values of the label maps that are objects')


def run(args: argparse.Namespace) -> None:
    from ..converters.labels_to_masks import write_masks
    n_masks, n_with_object = write_masks(args.labels, args.out, args.objects)
    print(f'wrote {n_masks} masks to {args.out}, {n_with_object} with an object')
