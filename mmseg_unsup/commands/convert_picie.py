"""Turn a checkpoint of the released PiCIE or MDC code into one of this package.

    mmseg-unsup convert-picie checkpoint.pth.tar picie.pth
    mmseg-unsup test mmseg_unsup::picie/picie_fpn_cocostuff_parity.py picie.pth

The file holds what a run of the config would have saved: backbone, neck, teacher and the prototypes of each view.
Class weights are not in released files and become ones. There are no fresh prototypes: mmseg-unsup test fits them on
the training images, as published; to predict without those images set model.test_cfg.cluster_sets=[view1]. The file
starts supervised training as any checkpoint does (configs/finetune/README.md).
"""
import argparse

from .arguments import add_released_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_released_arguments(parser, 'mmseg_unsup::picie/picie_fpn_cocostuff_parity.py')
    parser.add_argument('--drop-bias', action='store_true', help='convert a classifier with a bias, without it')


def run(args: argparse.Namespace) -> None:
    from ..converters import files, picie
    from ..utils import load_config
    cfg = load_config(args.config)
    print(files.convert_file(args.source, args.target, cfg, lambda found: picie.convert(found, args.drop_bias),
                             picie.check_fits, picie.dataset_meta(cfg), args.allow, args.force))
