"""From a folder of images to segments, without labels, in one command.

    mmseg-unsup segment IMAGES --out OUT --n-clusters 12 --init TRANSFORMER
    mmseg-unsup segment IMAGES --method maskcontrast --out OUT
    mmseg-unsup segment IMAGES --method picie --out OUT --n-clusters 12

features gives every pixel a cluster without training, by the features of a network as it is: what to take with the
weights of a transformer, an official file of DINO, DINOv2 or DINOv3. None is shipped; those of DINO and DINOv2 are
under Apache-2.0, those of DINOv3 under the DINOv3 License, which restricts uses of them and of what is made from them.
Its maps are refined by a dense CRF (--refine none leaves them as they are).
PiCIE trains a ResNet for the same. MaskContrast looks for objects: every image gets a mask as by mmseg-unsup priors
(OUT/masks), a ResNet learns to tell objects apart, and clusters of objects are what is found; 0 is background.

OUT/gallery.html is a page that shows the clusters, on which they are named and merged, OUT/overlays has the images
coloured by them, OUT/maps a PNG of cluster ids per image, OUT/predictions.json the share of each cluster per image, and
OUT/train log and checkpoints.

With --examples LABELLED, the clusters give way to the classes that a few label maps show, by the most similar places of
these images (of named clusters with --examples NAMES.json, as the page saves them): OUT/predictions.json then also says
how sure the model is of every image, and OUT/label_next.json which to label next. With more label maps the same command
makes the maps anew.

The same command given again goes on where it was stopped; with more --epochs, the training goes on. In Python it is
mmseg_unsup.segment_folder.

Exit status: 0 finished; 75 stopped by SIGTERM or SIGUSR1 in the training, after a checkpoint was written; 2 something
is wrong with arguments, images or settings; 1 another error.
"""
import argparse

from ..utils.checks import at_least
from .arguments import (PRIORS, add_on_error_argument, add_options_argument, add_refine_argument,
                        add_speed_arguments)

METHODS = ('maskcontrast', 'picie', 'features')
OBJECTS = ('image', 'components')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('images', help='folder of images, with sub-folders')
    parser.add_argument('--method', metavar=f'{{{",".join(METHODS)}}}',
                        help='objects; every pixel; every pixel without training (default: features with the weights '
                        'of a transformer, else maskcontrast)')
    parser.add_argument('--out', required=True, help='folder of everything that is written')
    parser.add_argument('--n-clusters', type=int, help="number of clusters (default: the config's)")
    parser.add_argument('--prior', default='rbd', metavar=f'{{{",".join(PRIORS)}}}',
                        help='of the masks, see mmseg-unsup priors; spectral, tokencut, ncut and principal see '
                        'features of the weights of --init (default: %(default)s)')
    parser.add_argument('--objects', default='image', metavar=f'{{{",".join(OBJECTS)}}}',
                        help='one object an image, or several (default: %(default)s)')
    parser.add_argument('--config', help='of the method; by default its folder config, a small one without a GPU')
    parser.add_argument('--init', metavar='FILE', help="weights to start from: of a ResNet with torchvision's names, "
                        "or of a transformer as its authors publish them, under their licence; 'none' for random ones "
                        "(default: the config's, a ResNet's, which are downloaded)")
    parser.add_argument('--epochs', type=int, help="(default: the config's)")
    parser.add_argument('--workers', type=at_least(1), help='processes that make masks (default: one per core)')
    parser.add_argument('--examples', metavar='LABELLED', help='folder of label maps of a few of the images, PNGs '
                        'named like these whose values are classes (255: no label), or a clusters.json that names '
                        'clusters of the model in --out: the images get those classes')
    parser.add_argument('--classes', nargs='+', metavar='NAME', help='of the classes, in the order of the values')
    add_refine_argument(parser)
    add_on_error_argument(parser)
    add_options_argument(parser, 'further settings of the config, key=value')
    add_speed_arguments(parser)


def run(args: argparse.Namespace) -> None:
    import shlex

    from ..apis.segment_request import Request
    from ..apis.segment_work import find_segments
    from ..utils.console import next_steps, say
    from ..utils.paths import shown
    found = find_segments(Request.of_arguments(args))
    out = shlex.quote(shown(found.folder))
    naming = [f'name {out} --name 1=sky'] if args.examples is None else []
    say(next_steps(*naming, f'predict {out} OTHER_IMAGES --out OTHER_OUT'))
