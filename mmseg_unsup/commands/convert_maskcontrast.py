"""Turn a checkpoint of the released MaskContrast code into one of this package.

    mmseg-unsup convert-maskcontrast VOCSegmentation_unsupervised.pth maskcontrast.pth
    mmseg-unsup train mmseg_unsup::maskcontrast/maskcontrast_deeplabv3_voc.py --cfg-options load_from=maskcontrast.pth

The file holds what a run of the config would have saved: backbone and head, the key branch, and the queue. Where the
checkpoint has no key branch, it is a copy of the query branch; where it has no queue, training starts from noise. To
start supervised training from it, set model.backbone.init_cfg to type 'Pretrained' with prefix 'backbone.'.

The released checkpoints are under CC BY-NC 4.0: not for commercial use, converted or not.
"""
import argparse

from .arguments import add_released_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_released_arguments(parser, 'mmseg_unsup::maskcontrast/maskcontrast_deeplabv3_voc.py')


def run(args: argparse.Namespace) -> None:
    from ..converters import files, maskcontrast
    from ..datasets import MaskedImageDataset
    from ..utils import load_config
    print(files.convert_file(args.source, args.target, load_config(args.config), maskcontrast.convert,
                             maskcontrast.check_fits, MaskedImageDataset.METAINFO, args.allow, args.force))
