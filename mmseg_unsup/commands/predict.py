"""Segment images by a trained model.

    mmseg-unsup predict MODEL IMAGES --out OUT
    mmseg-unsup predict MODEL IMAGES --out OUT --clusters clusters.json --tile 512
    mmseg-unsup predict MODEL IMAGES --out OUT --refine exact
    mmseg-unsup predict MODEL IMAGES --out OUT --format coco label-studio
    mmseg-unsup predict MODEL TILES --out OUT --format geotiff
    mmseg-unsup predict MODEL FRAMES --out OUT --format video --smooth 5
    mmseg-unsup predict MODEL IMAGES --out OUT --shard 0/4

MODEL is the folder that `mmseg-unsup segment` wrote, the work directory of a training, or a checkpoint file; before it
may stand another CONFIG than the one in the checkpoint.

OUT/maps has an indexed PNG of class ids per image, as large as the image, OUT/overlays the images coloured by them with
a legend, OUT/predictions.json the names and the share of each class per image. Classes are those of the clusters.json
in the folder MODEL, if there is one; without names every cluster is a class of its own. --format adds what labelling
programs open, once the last map is there, GeoTIFFs with the coordinates of the images (see `mmseg-unsup rasters`), or a
video of the overlays of frames (see `mmseg-unsup frames`); `mmseg-unsup convert-maps` does it later.

The same command given again goes on where it was stopped, and makes maps of new images; other settings are refused, as
OUT/progress records them. Processes that a launcher started (torchrun, srun) share the images, and so do those with
--shard 0/W to W-1/W; the last one writes OUT/predictions.json.

Exit status: 0 finished; 75 stopped by SIGTERM or SIGUSR1; 2 something is wrong with arguments, images or settings; 1
another error.
"""
import argparse

from ..utils.checks import at_least
from .arguments import (add_amp_argument, add_format_arguments, add_model_arguments, add_names_argument,
                        add_on_error_argument, add_refine_argument, add_shard_arguments, add_size_argument,
                        offering_to_skip)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument('images', metavar='IMAGES', help='folder of images, with sub-folders, or one image')
    parser.add_argument('--out', required=True, help='folder of everything that is written')
    add_names_argument(parser, 'names, colours and merged clusters (mmseg-unsup name)')
    add_size_argument(parser)
    parser.add_argument('--tile', type=at_least(1), help='cut images with a longer side into tiles of so many '
                        'pixels, each of which the network sees as an image')
    parser.add_argument('--overlap', type=at_least(0), default=64,
                        help='pixels that tiles share (default: %(default)s)')
    parser.add_argument('--smooth', type=at_least(1), default=1, metavar='N', help='of frames: scores are their mean '
                        'over an image and the N-1 before it in its folder (default: 1, every image on its own)')
    add_refine_argument(parser)
    add_format_arguments(parser)
    parser.add_argument('--batch-size', type=at_least(1), help='images of one size, or tiles, at a time (default: up '
                        'to 16 on a GPU, fewer of large ones; else 1)')
    parser.add_argument('--workers', type=at_least(1), help='threads that read ahead, and threads that write (default: '
                        'one per core, 8 at most)')
    parser.add_argument('--device', help='such as cpu or cuda:1 (default: a GPU where there is one)')
    add_amp_argument(parser)
    add_shard_arguments(parser)
    add_on_error_argument(parser)


def run(args: argparse.Namespace) -> None:
    import os.path as osp
    import time

    from mmengine.dist import is_main_process

    from ..apis.image_names import ImageNames
    from ..apis.inferencer import UnsupInferencer
    from ..apis.map_files import MAPS, OVERLAYS, RECORD
    from ..apis.model_files import choose_files
    from ..apis.predicted_folder import predict_folder
    from ..formats.table import FORMATS, check_formats
    from ..utils.console import counted
    from ..utils.distributed import device_of_process, shard_of_process
    check_formats(args.format)
    model, names = choose_files(args.model, args.clusters)
    images = ImageNames.of(args.images)  # an empty folder must fail before anything is loaded
    shard = shard_of_process(args.launcher, args.shard)
    device = args.device or device_of_process(args.launcher)
    inferencer = UnsupInferencer(args.config, model, names, device, args.size, args.tile, args.overlap, args.on_error,
                                 args.cfg_options, amp=args.amp, workers=args.workers, refine=args.refine,
                                 smooth=args.smooth)
    start = time.perf_counter()
    with offering_to_skip():
        found = predict_folder(inferencer, images, args.out, args.batch_size, shard, formats=args.format,
                               tolerance=args.tolerance)
    facts = [counted(found.n_found, 'image'), f'{len(inferencer.names)} classes',
             *([f'{found.n_faults} skipped'] if found.n_faults else []),
             *([f'{found.n_missing} are not made yet, by other shards'] if found.n_missing else []),
             f'{time.perf_counter() - start:.1f} s']
    at_the_end = [RECORD, *(FORMATS[name].files[0] for name in args.format)]
    files = [osp.join(args.out, name) for name in (MAPS, OVERLAYS, *([] if found.n_missing else at_the_end))]
    if is_main_process():
        print(f'{", ".join(facts)}: {", ".join(files)}')
