"""Report, without labels, what the number of clusters k does on the features of a checkpoint.

    mmseg-unsup choose-k mmseg_unsup::picie/picie_fpn_camvid.py epoch_5.pth --k 5 10 20

For every k of the list, k-means with the settings of the config's fresh k-means runs on a bounded sample of cells of
the training images, from several starts. Written to the output folder: choose_k.json and choose_k.png.

The advice follows one rule. The stability of a k is the smaller of two ARIs: between starts, of the labels of the same
cells (mean over pairs), and between two augmented views (mean over starts). Of the k whose stability is within 0.05 of
the best one, the largest is advised: the finest clusters that are as reproducible as any. Silhouette and inertia are
reported beside it and do not enter the rule. Stability tends to fall with k where features vary smoothly; the smallest
k of the list is then advised, and the sentence says so.
"""
import argparse
import os.path as osp

from ..utils.checks import at_least
from .arguments import add_options_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help='config file, or mmseg_unsup::NAME')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--k', type=int, nargs='+', required=True, help='numbers of clusters to compare')
    parser.add_argument('--seeds', type=int, default=3, help='starts of k-means per k (default: %(default)s)')
    parser.add_argument('--images', type=at_least(1), default=256,
                        help='training images to take cells from (default: %(default)s)')
    parser.add_argument('--cells', type=at_least(1), default=20_000,
                        help='feature cells in the sample (default: %(default)s)')
    parser.add_argument('--silhouette-cells', type=at_least(2), default=2000,
                        help='of them, those of the silhouette (default: %(default)s)')
    parser.add_argument('--seed', type=at_least(0), default=0, help='which images, views and cells are sampled')
    parser.add_argument('--out', help='folder of choose_k.json and choose_k.png (default: that of the checkpoint)')
    add_options_argument(parser)


def run(args: argparse.Namespace) -> None:
    from ..analysis.choose_k import choose_k, to_text
    from ..utils import register_all_modules
    from ..utils.speed import adapt_loaders
    from ..weights import load_network_config
    register_all_modules()
    cfg = load_network_config(args.config, args.cfg_options)
    adapt_loaders(cfg)
    out = args.out or osp.dirname(osp.abspath(args.checkpoint))
    report = choose_k(cfg, args.checkpoint, args.k, out, args.seeds, args.images, args.cells, args.silhouette_cells,
                      args.seed)
    print(f'{to_text(report)}\nwrote {osp.join(out, "choose_k.json")} and choose_k.png')
