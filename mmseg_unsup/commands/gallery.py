"""Show what the clusters of a model are, and name and merge them: one HTML page that needs no network.

    mmseg-unsup gallery MODEL IMAGES --out GALLERY.html

MODEL is the folder that `mmseg-unsup segment` wrote, the work directory of a training, or a checkpoint file; before it
may stand another CONFIG than the one in the checkpoint.

Per cluster: its share of the pixels, typical patches or objects and images, the nearest clusters; with --labels also
IoU with the labels, the confusion matrix and scores. Names that are edited on the page are downloaded as clusters.json;
in the folder MODEL, or given by --clusters, they are shown again.
"""
import argparse

from ..utils.checks import at_least
from .arguments import (add_model_arguments, add_names_argument, add_on_error_argument, add_refine_argument,
                        offering_to_skip)

CRITERIA = ('count', 'iou')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument('images', metavar='IMAGES', help='folder of images, with sub-folders')
    parser.add_argument('--out', required=True, help='the page, a file ending in .html')
    parser.add_argument('--labels', help="folder of label maps; the config's test data set says how to read them")
    parser.add_argument('--classes', nargs='+', help='names of the values 0, 1, ... in the label maps, where the '
                        "config's test data set has no classes; 255 is ignored")
    add_names_argument(parser, 'names that the page starts from')
    add_refine_argument(parser)
    parser.add_argument('--match', choices=['hungarian', 'majority'],
                        help="matching of clusters to labels (default: the config's)")
    parser.add_argument('--match-on', choices=CRITERIA, help="what it sums (default: the config's)")
    add_on_error_argument(parser)
    parser.add_argument('--max-images', type=at_least(1), help='look at so many random images only')
    parser.add_argument('--places', type=at_least(1), default=6,
                        help='patches or objects per cluster (default: %(default)s)')
    parser.add_argument('--typical', type=at_least(1), default=4, help='images per cluster (default: %(default)s)')


def run(args: argparse.Namespace) -> None:
    import os.path as osp
    import time

    from ..apis.gallery import make_gallery
    from ..apis.gallery_text import Matching, matching_of
    from ..apis.loading import model_config, with_refine
    from ..apis.model_files import choose_files
    from ..utils.paths import printable
    from ..utils.setup_env import register_all_modules
    if args.classes and not args.labels:
        raise ValueError('--classes are the names of the values in the label maps of --labels, which is not given')
    start = time.perf_counter()
    register_all_modules()
    checkpoint, names = choose_files(args.model, args.clusters)
    cfg = model_config(args.config, checkpoint, with_refine(args.cfg_options, args.refine))
    of_config = matching_of(cfg)
    matching = Matching(args.match or of_config.match, args.match_on or of_config.match_on)
    with offering_to_skip():
        found = make_gallery(cfg, checkpoint, osp.normpath(args.images), args.out, args.labels, args.classes, names,
                             matching, args.on_error, args.max_images, args.places, args.typical)
    for path in found.unreadable:
        print(f'left out, unreadable: {printable(path)}')
    print(f'{len(found.paths) - len(found.unreadable)} images, {found.survey.n_clusters} clusters, '
          f'{time.perf_counter() - start:.1f} s: {args.out} ({osp.getsize(args.out) / 1e6:.1f} MB)')
