"""Show the views that a config trains on: one row per image.

    mmseg-unsup browse-views mmseg_unsup::picie/picie_fpn_camvid.py views.png --cfg-options data_root=DATA

Views of a crop that the model repeats on feature maps (PiCIE and its like): the first view; the second, which is whole,
with the recorded crop as a frame; and the second cut by the record, which must show what the first one shows. Views
with masks (MaskContrast): both, coloured by their objects. An arrow in the frame says that the crop is flipped.
"""
import argparse

from ..utils.checks import at_least
from .arguments import add_options_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help='config file, or mmseg_unsup::NAME')
    parser.add_argument('out', help='picture to write, .png or .jpg')
    parser.add_argument('--images', type=at_least(1), default=8, help='rows (default: %(default)s)')
    parser.add_argument('--epoch', type=at_least(0), default=0, help='whose views to draw, from 0 on')
    add_options_argument(parser)


def run(args: argparse.Namespace) -> None:
    from ..analysis.browse_views import draw_views
    from ..utils import load_config, register_all_modules
    register_all_modules()
    cfg = load_config(args.config, args.cfg_options)
    draw_views(cfg, args.out, args.images, args.epoch)
    print(f'{args.out}: views of epoch {args.epoch}, seed {cfg.randomness.get("seed")}')
