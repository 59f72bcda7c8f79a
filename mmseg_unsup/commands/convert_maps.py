"""Write finished maps as annotations that labelling programs open.

    mmseg-unsup convert-maps OUT --format coco
    mmseg-unsup convert-maps OUT --format cvat labelme --tolerance 2

OUT is what `mmseg-unsup predict` or `mmseg-unsup segment` wrote, and the annotations go there too. Of the images only
their place is used. coco has pixels as run lengths, an annotation for each class of an image; the others have a polygon
for each connected region, cityscapes PNGs. All but cityscapes need the extra `formats`.
"""
import argparse

from ..utils.checks import at_least
from .arguments import add_format_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('out', metavar='OUT', help='folder with maps/, predictions.json and progress/')
    add_format_arguments(parser, required=True)
    parser.add_argument('--workers', type=at_least(1), help='threads (default: one per core)')


def run(args: argparse.Namespace) -> None:
    from ..apis.annotations import MadeMaps
    from ..utils.console import counted
    maps = MadeMaps.of(args.out)
    paths = maps.write(args.format, args.tolerance, args.workers)
    print(f'{counted(len(maps.images), "image")}, {len(maps.names)} classes: {", ".join(paths)}')
