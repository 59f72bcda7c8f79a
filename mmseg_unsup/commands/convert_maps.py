"""Write finished maps as annotations that labelling programs open, as GeoTIFFs, or as videos.

    mmseg-unsup convert-maps OUT --format coco
    mmseg-unsup convert-maps OUT --format cvat labelme --tolerance 2
    mmseg-unsup convert-maps OUT --format geotiff

OUT is what `mmseg-unsup predict` or `mmseg-unsup segment` wrote, and the annotations go there too. coco has pixels as
run lengths, an annotation for each class of an image; the others have a polygon for each connected region, cityscapes
PNGs; these use no more of the images than where they are. All of these but cityscapes need the extra `formats`.

geotiff has a map of classes for each image, with its coordinates (extra `geo`); the images are GeoTIFFs, see
`mmseg-unsup rasters`, or have a world file. video has the overlays of each folder that `mmseg-unsup frames` made.

Exit status: 0 finished; 75 stopped by SIGTERM or SIGUSR1; 2 something is wrong with arguments, maps or images; 1
another error. A stopped command begins anew when it is given again.
"""
import argparse

from ..utils.checks import at_least
from .arguments import add_format_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('out', metavar='OUT', help='folder with maps/, predictions.json and progress/')
    add_format_arguments(parser, required=True)
    parser.add_argument('--workers', type=at_least(1), help='threads (default: one per core)')


def run(args: argparse.Namespace) -> None:
    from ..apis.made_maps import MadeMaps
    from ..utils.console import counted
    maps = MadeMaps.of(args.out)
    paths = maps.write(args.format, args.tolerance, args.workers)
    print(f'{counted(len(maps.images), "image")}, {len(maps.names)} classes: {", ".join(paths)}')
