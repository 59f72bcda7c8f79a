"""Segment images by a trained model.

    python tools/predict.py CONFIG CHECKPOINT IMAGES --out OUT [--clusters clusters.json] [--tile 512]

OUT/maps has an indexed PNG of class ids per image, as large as the image, OUT/overlays the images coloured by them with
a legend, OUT/predictions.json the names and the share of each class per image. Without --clusters every cluster is a
class of its own.
"""
import mmseg_unsup  # noqa: F401, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
import argparse
import os.path as osp

from mmseg_unsup.apis import UnsupInferencer
from mmseg_unsup.apis.image_input import list_inputs
from mmseg_unsup.utils.checks import at_least
from mmseg_unsup.utils.command_line import add_model_arguments, add_size_argument


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model_arguments(parser)
    parser.add_argument('images', help='folder of images, with sub-folders, or one image')
    parser.add_argument('--out', required=True, help='folder of everything that is written')
    parser.add_argument('--clusters', help='names, colours and merged clusters, see tools/name_clusters.py')
    add_size_argument(parser)
    parser.add_argument('--tile', type=at_least(1), help='cut images with a longer side into tiles of so many '
                        'pixels, each of which the network sees as an image')
    parser.add_argument('--overlap', type=at_least(0), default=64,
                        help='pixels that tiles share (default: %(default)s)')
    parser.add_argument('--batch-size', type=at_least(1), default=1, help='images of one size, or tiles, at a time')
    parser.add_argument('--device', help='such as cpu or cuda:1 (default: a GPU where there is one)')
    parser.add_argument('--on-error', choices=['raise', 'skip'], default='raise', help='of an image that is unreadable')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    root = args.images if osp.isdir(args.images) else osp.dirname(args.images) or '.'
    list_inputs(args.images)  # an empty folder must fail before anything is loaded
    inferencer = UnsupInferencer(
        args.config, args.checkpoint, args.clusters, args.device, args.size,
        args.tile, args.overlap, args.on_error, args.cfg_options)
    inferencer.check_output(args.images, args.out, root)
    shares = {}
    for prediction in inferencer.stream(args.images, args.batch_size):
        inferencer.save(prediction, args.out, root)
        shares[osp.relpath(prediction.path, root)] = inferencer.shares(prediction)
    path = inferencer.save_record(args.out, shares)
    print(f'{len(shares)} images, {len(inferencer.names)} classes, {len(inferencer.skipped)} skipped: {args.out}/maps, '
          f'{args.out}/overlays, {path}')


if __name__ == '__main__':
    main()
