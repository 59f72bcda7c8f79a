"""Report, without labels, how much the features of a checkpoint tell of their place in the image.

    mmseg-unsup position mmseg_unsup::picie/picie_fpn_camvid.py epoch_5.pth

Clusters of features that tell it follow the frame: bands along borders, rings around the middle. Reported is R2 of the
best linear prediction of the place of a cell from its features, on images that the prediction was not fitted to: 1 if
they tell it exactly, 0 if not at all. Of training images, it holds what scenes have in common too, such as a sky above
a road; of images of noise, only what the network adds by its padding or its position embeddings. The last line is the
share of the variance of a feature that changes when the same place is seen in another window of the image.

What takes position out is model.neck.position, for a config with principal components.
"""
import argparse

from ..utils.checks import at_least
from .arguments import add_options_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help='config file, or mmseg_unsup::NAME')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--images', type=at_least(2), default=128,
                        help='training images to read (default: %(default)s)')
    parser.add_argument('--seed', type=at_least(0), default=0, help='which images are read')
    parser.add_argument('--out', help='a file to write the numbers to, as JSON')
    add_options_argument(parser)


def run(args: argparse.Namespace) -> None:
    from ..analysis.position import measure_position, to_text
    from ..utils import load_config, register_all_modules
    from ..utils.atomic import write_json
    from ..utils.speed import adapt_loaders
    register_all_modules()
    cfg = load_config(args.config, args.cfg_options)
    adapt_loaders(cfg)
    report = measure_position(cfg, args.checkpoint, args.images, args.seed)
    print(to_text(report))
    if args.out:
        write_json(args.out, report)
        print(f'wrote {args.out}')
