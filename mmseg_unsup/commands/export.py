"""Write a trained model as one file that runs without this package.

    mmseg-unsup export MODEL model.onnx
    mmseg-unsup export MODEL model.onnx --clusters clusters.json --images FOLDER

MODEL is the folder that `mmseg-unsup segment` wrote, the work directory of a training, or a checkpoint file; before it
may stand another CONFIG than the one in the checkpoint.

The suffix says the format: .onnx, .ts (TorchScript) or .pt2 (torch.export). The model takes `image`, float32 RGB from 0
to 255, (N, 3, H, W) with any N, H and W, and gives `ids`, (N, H, W) int64, and `similarity`, (N, H, W) float32, the
score of the winning cluster. Images are to be resized as the config evaluates them; the size is in the file. The file
is compared with PyTorch on images and put in its place if at least 99.9 % of the pixels are equal.
"""
import argparse

from ..utils.checks import at_least
from .arguments import add_model_arguments, add_names_argument, add_size_argument

OPSETS, DEFAULT_OPSET = range(11, 21), 17


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument('out', metavar='OUT', help='file to write')
    add_names_argument(parser, 'make the ids those of the classes of this file, whose names go with it')
    parser.add_argument('--images', help="folder of images to check with (default: the config's test images)")
    parser.add_argument('--check-images', type=at_least(1), default=16, help='how many of them (default: %(default)s)')
    add_size_argument(parser)
    parser.add_argument('--opset', type=int, default=DEFAULT_OPSET,
                        help=f'of ONNX, {OPSETS[0]} to {OPSETS[-1]} (default: %(default)s)')


def run(args: argparse.Namespace) -> None:
    from ..apis.export import export_model
    from ..apis.model_files import choose_files
    model, names = choose_files(args.model, args.clusters)
    print(export_model(args.config, model, args.out, names, args.images, args.check_images, args.size, args.opset,
                       args.cfg_options))
