"""Turn a released checkpoint of a method on frozen features into a model of this package.

    mmseg-unsup convert-released stego cocostuff27_vit_base_5.ckpt --out stego.pth
    mmseg-unsup predict stego.pth images --out maps

Read are the tensors alone: settings that lie beside them in the file (omegaconf, argparse) are not, and nothing in it
is run. The model has backbone, head and clusters, whose numbers of channels are those of the tensors; it predicts, and
is not trained further. STEGO, DepthG, HP, SmooSeg and EAGLE keep their backbone in the file. Of CAUSE give the files of
head and clusters, segment_mlp.pth and cluster_mlp.pth, and --backbone. The licence of a checkpoint goes with it: that
of SmooSeg is not for commercial use, CAUSE and DepthG state none.

Scores: mmseg-unsup evaluate-released.
"""
import argparse

# of converters.released_layouts, whose import takes seconds
METHODS = ('stego', 'depthg', 'hp', 'smooseg', 'eagle', 'cause', 'primaps')


def add_released_checkpoint(parser: argparse.ArgumentParser) -> None:
    """``METHOD FILE [FILE ...]`` and the backbone."""
    parser.add_argument('method', choices=METHODS, help='whose released code wrote the checkpoint')
    parser.add_argument('files', nargs='+', metavar='FILE', help='the checkpoint, of CAUSE those of head and clusters')
    parser.add_argument('--backbone', metavar='FILE', help="weights of the transformer, where the checkpoint has none: "
                        "an official file of DINO or DINOv2")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_released_checkpoint(parser)
    parser.add_argument('--out', required=True, metavar='MODEL', help='file to write')
    parser.add_argument('--force', action='store_true', help='replace MODEL if it is there')


def run(args: argparse.Namespace) -> None:
    from ..converters.released import convert_released
    from ..utils import register_all_modules
    register_all_modules()
    print(convert_released(args.method, args.files, args.out, args.backbone, args.force))
