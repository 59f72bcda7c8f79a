"""Write the curated COCO-Stuff lists of IIC and PiCIE from the annotations alone.

    mmseg-unsup coco-stuff27 data/coco_stuff164k

An image is kept if both sides have at least 360 pixels and at least 75 % of all its pixels belong to stuff classes
(IIC's coco164k_prepare.py, version 7). For the complete annotations of 2017 that gives 49,629 training and 2,175
validation images; counts and checksums of the published lists are compared and any difference is said loudly.

Exit status: 0 the lists are the published ones; 3 they are written, but are others.
"""
import argparse
import os

from ..utils.checks import at_least


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('data_root', help='folder with annotations/{train2017,val2017}/*.png')
    parser.add_argument('--workers', type=at_least(1), default=os.cpu_count(), help='processes that read annotations')


def run(args: argparse.Namespace) -> int:
    from ..converters.coco_stuff27 import write_curated_lists
    return 0 if write_curated_lists(args.data_root, args.workers) else 3
