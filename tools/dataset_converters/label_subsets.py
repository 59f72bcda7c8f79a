"""Write nested random subsets of a training set as lists, for experiments with few labels.

    python tools/dataset_converters/label_subsets.py configs/finetune/fpn_r18_camvid.py SUBSETS --seed 1
    python tools/train.py configs/finetune/fpn_r18_camvid.py --cfg-options \
        train_dataloader.dataset.ann_file=$PWD/SUBSETS/seed_1/percent_5.txt

Lists are FOLDER/seed_S/percent_P.txt. Each holds every smaller one of the same seed.
"""
import mmseg_unsup  # noqa: F401, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
import argparse

from mmengine.fileio import list_from_file

from mmseg_unsup.datasets.subsets import PERCENTS, write_subsets
from mmseg_unsup.utils import load_config, register_all_modules
from mmseg_unsup.utils.checks import at_least
from mmseg_unsup.utils.command_line import add_options_argument


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config whose training set is divided')
    parser.add_argument('folder', help='where the lists go')
    parser.add_argument('--percents', type=float, nargs='+', default=PERCENTS,
                        help=f'of the images (default: {" ".join(map(str, PERCENTS))})')
    parser.add_argument('--seed', type=at_least(0), default=0, help='of the random order (default: 0)')
    add_options_argument(parser, 'such as data_root=PATH')
    args = parser.parse_args()
    register_all_modules()
    config = load_config(args.config, args.cfg_options).train_dataloader.dataset
    for percent, path in write_subsets(config, args.folder, args.percents, args.seed).items():
        print(f'{percent:g} %: {len(list_from_file(path))} images, {path}')


if __name__ == '__main__':
    main()
