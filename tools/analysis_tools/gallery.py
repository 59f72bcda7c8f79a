"""Show what the clusters of a checkpoint are, and name and merge them: one HTML page that needs no network.

    python tools/analysis_tools/gallery.py CONFIG CHECKPOINT IMAGES --out GALLERY.html

Per cluster: its share of the pixels, typical patches or objects and images, the nearest clusters; with --labels also
IoU with the labels, the confusion matrix and scores. Names that are edited on the page are downloaded as clusters.json;
--clusters shows such a file again.
"""
import mmseg_unsup  # noqa: F401, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
import argparse
import os.path as osp


from mmseg_unsup.apis.gallery import make_gallery
from mmseg_unsup.apis.gallery_text import Matching, matching_of
from mmseg_unsup.evaluation.functional.matching import CRITERIA
from mmseg_unsup.utils.checks import at_least
from mmseg_unsup.utils.command_line import add_options_argument
from mmseg_unsup.utils.config import load_config
from mmseg_unsup.utils.setup_env import register_all_modules


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('images', help='folder of images, with sub-folders')
    parser.add_argument('--out', required=True, help='the page, a file ending in .html')
    parser.add_argument('--labels', help="folder of label maps; the config's test data set says how to read them")
    parser.add_argument('--classes', nargs='+', help='names of the values 0, 1, ... in the label maps, where the '
                        "config's test data set has no classes; 255 is ignored")
    parser.add_argument('--clusters', help='a clusters.json whose names the page starts from')
    parser.add_argument('--match', choices=['hungarian', 'majority'],
                        help="matching of clusters to labels (default: the config's)")
    parser.add_argument('--match-on', choices=CRITERIA, help="what it sums (default: the config's)")
    parser.add_argument('--on-error', choices=['raise', 'skip'], default='raise', help='of an image that is unreadable')
    parser.add_argument('--max-images', type=at_least(1), help='look at so many random images only')
    parser.add_argument('--places', type=at_least(1), default=6,
                        help='patches or objects per cluster (default: %(default)s)')
    parser.add_argument('--typical', type=at_least(1), default=4, help='images per cluster (default: %(default)s)')
    add_options_argument(parser)
    args = parser.parse_args()
    if args.classes and not args.labels:
        parser.error('--classes are the names of the values in the label maps of --labels, which is not given')
    return args


def main() -> None:
    args = parse_args()
    register_all_modules()
    cfg = load_config(args.config, args.cfg_options)
    of_config = matching_of(cfg)
    found = make_gallery(
        cfg, args.checkpoint, osp.normpath(args.images), args.out, args.labels, args.classes, args.clusters,
        Matching(args.match or of_config.match, args.match_on or of_config.match_on), args.on_error, args.max_images,
        args.places, args.typical)
    for path in found.unreadable:
        print(f'left out, unreadable: {path}')
    print(f'{args.out}: {len(found.paths) - len(found.unreadable)} images, {found.survey.n_clusters} clusters, '
          f'{osp.getsize(args.out) / 1e6:.1f} MB')


if __name__ == '__main__':
    main()
