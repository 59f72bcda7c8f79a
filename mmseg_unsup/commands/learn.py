"""Learn from corrected maps, and segment the folder anew.

    mmseg-unsup learn MODEL --labels CORRECTED
    mmseg-unsup learn MODEL IMAGES --labels CORRECTED --out OUT
    mmseg-unsup learn MODEL IMAGES --labels FIRST SECOND --out OUT --classes sky road --only 'monday/*'

MODEL is the folder that `mmseg-unsup segment` wrote, the work directory of a training, a checkpoint file, or
hf://OWNER/NAME of the Hugging Face hub, of which IMAGES and --out must be given. CORRECTED is what a labelling program
exported after maps of it were corrected there (`mmseg-unsup convert-maps`): a file of COCO, CVAT or Label Studio, a
folder of YOLO, LabelMe, Cityscapes or GeoTIFFs, or a folder of PNGs, whose values are class ids, named as those in
OUT/maps or like their images. A few images are enough, and parts of them: pixels without a label do not count. Of Label
Studio tasks count those that have an annotation; of a program that exports all images, --only names those that were
corrected. Of an image in several sources the last one counts.

Classes are those of the clusters.json in the folder MODEL; without one, those that the labels name. --classes gives
others, and must name all of them. A class that no label shows is never found.

A ResNet is trained wholly, also one that was frozen: backbone and neck start as in MODEL, a head on them at random. Of
a frozen transformer, neck and head are trained. A model of objects (MaskContrast) lends its backbone alone. Steps are
20 for each labelled image, 200 at least, and 400 at most, or 8000 on a GPU (--steps), of 8 crops each. The expected
minutes are said before the first one. Rare classes weigh more in the loss. `segment --examples` trains nothing.

OUT/labels has the corrections as label maps, OUT/train log and checkpoints, OUT/maps, OUT/overlays and
OUT/predictions.json the maps of all images as `mmseg-unsup predict` writes them, in which labelled pixels keep their
label, OUT/label_next.json the images to correct next, OUT/clusters.json the names. `predict`, `gallery`, `export` and
`learn` take OUT as a MODEL, `convert-maps` writes its maps for the next round.

The same command given again goes on where it was stopped. With other labels, classes or --steps it trains anew, from
MODEL and by all labels of this call: for a second round give those of the first one too. Other settings are refused.

Exit status: 0 finished; 75 stopped by SIGTERM or SIGUSR1, after a checkpoint was written; 2 something is wrong with
arguments, labels, images or settings; 1 another error.
"""
import argparse

from ..utils.checks import at_least
from .arguments import add_on_error_argument, add_options_argument, add_refine_argument, add_speed_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('model', metavar='MODEL',
                        help='checkpoint file, folder of a training (its last one), or hf://OWNER/NAME')
    parser.add_argument('images', metavar='IMAGES', nargs='?',
                        help='folder of images, with sub-folders (default: the one that the maps in MODEL are of)')
    parser.add_argument('--labels', nargs='+', required=True, metavar='CORRECTED',
                        help='files or folders of annotations, or folders of label maps')
    parser.add_argument('--out', help='folder of everything that is written (default: MODEL/learned)')
    parser.add_argument('--classes', nargs='+', metavar='NAME', help='names of the classes, of label maps in the order '
                        'of their values (default: those of the model, else those in the labels)')
    parser.add_argument('--only', nargs='+', metavar='NAME', help='images that were corrected, by their names below '
                        'IMAGES or patterns of these (default: all that the labels speak of)')
    parser.add_argument('--steps', type=at_least(1), help='of the training, in whole tens (default: 20 for each '
                        'labelled image, from 200 to 400, or to 8000 on a GPU)')
    parser.add_argument('--size', type=at_least(1), help='shorter side that the network sees, in pixels (default: 240, '
                        'on a GPU 320, and that of the model where the backbone is frozen)')
    add_refine_argument(parser)
    add_on_error_argument(parser)
    add_options_argument(parser, 'further settings of the config, key=value')
    add_speed_arguments(parser)


def run(args: argparse.Namespace) -> None:
    from ..apis.learn_request import LearnRequest
    from ..apis.learn_work import learn
    learn(LearnRequest.of_arguments(args))
