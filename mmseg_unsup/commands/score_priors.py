"""Compare mask priors with masks that people drew: one table.

    mmseg-unsup score-priors IMAGES LABELS --priors rbd spectral tokencut --weights WEIGHTS.pth

LABELS has one mask per image, of the same relative stem; where it is not 0 is the object. Means over all images:
- IoU of the binary mask;
- F-measure of the binary mask, beta^2 = 0.3 (not the best over thresholds of the soft map);
- MAE, the mean absolute error of the soft map;
- CPU time of one core; images with a usable mask. Without one, IoU and F-measure are 0.
Of region and principal, all of whose regions are objects, the region with the highest IoU counts, which needs the
labels: a bound, no prediction. Of ncut all objects together count.
"""
import argparse

from ..utils.checks import at_least


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('images', help='folder of images')
    parser.add_argument('labels', help='folder of masks that people drew')
    parser.add_argument('--priors', nargs='+', default=['rbd'], help='such as rbd, spectral, tokencut, ncut, region, '
                        'principal, or registered types')
    parser.add_argument('--weights', nargs='+', default=[], metavar='FILE', help='of ResNets or '
                        'of transformers, for priors that see features')
    parser.add_argument('--styles', nargs='+', choices=('pytorch', 'caffe'), help='of each of --weights; a transformer '
                        'has none, give any')
    parser.add_argument('--every', type=at_least(1), default=1, help='score each n-th image only')
    parser.add_argument('--out', help='also write the scores and settings to this JSON file')


def run(args: argparse.Namespace) -> None:
    from ..analysis.score_priors import configs_of, markdown, score_folder
    from ..utils.atomic import write_json
    results = score_folder(args.images, args.labels, configs_of(args.priors, args.weights, args.styles), args.every)
    print(f'{results[0]["n_images"]} images of {args.images}\n\n{markdown(results)}')
    if args.out:
        write_json(args.out, dict(images=args.images, labels=args.labels, results=results))
        print(f'\nwrote {args.out}')
