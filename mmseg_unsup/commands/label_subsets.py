r"""Write nested random subsets of a training set as lists, for experiments with few labels.

    mmseg-unsup label-subsets mmseg_unsup::finetune/fpn_r18_camvid.py SUBSETS --seed 1
    mmseg-unsup train mmseg_unsup::finetune/fpn_r18_camvid.py --cfg-options \\
        train_dataloader.dataset.ann_file=$PWD/SUBSETS/seed_1/percent_5.txt

Lists are FOLDER/seed_S/percent_P.txt. Each holds every smaller one of the same seed.
"""
import argparse

from ..utils.checks import at_least
from .arguments import add_options_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help='config whose training set is divided')
    parser.add_argument('folder', help='where the lists go')
    parser.add_argument('--percents', type=float, nargs='+', default=[1, 2, 5, 12.5, 25, 100],
                        help='of the images (default: 1 2 5 12.5 25 100)')
    parser.add_argument('--seed', type=at_least(0), default=0, help='of the random order (default: 0)')
    add_options_argument(parser, 'such as data_root=PATH')


def run(args: argparse.Namespace) -> None:
    from mmengine.fileio import list_from_file

    from ..analysis.subsets import write_subsets
    from ..utils import load_config, register_all_modules
    register_all_modules()
    config = load_config(args.config, args.cfg_options).train_dataloader.dataset
    for percent, path in write_subsets(config, args.folder, args.percents, args.seed).items():
        print(f'{percent:g} %: {len(list_from_file(path))} images, {path}')
