"""Score a released checkpoint of a method on frozen features as its paper did, and honestly: one table of both.

    mmseg-unsup evaluate-released stego potsdam_test.ckpt --data potsdam3 --data-root data/potsdam --out-dir work_dirs/a

Every row has a protocol card: how images are resized, what of them is scored, flip, CRF, which pixels count, matching,
which checkpoint, which labels were used. The card of the paper is that of its released code, down to what raises its
numbers; the card honest scores whole images at the size of their files, counts every labelled pixel, and uses neither
flip nor CRF. Both are of the same weights: how these were chosen stays in the card. The linear probe of a checkpoint,
which was trained on labels, has rows and cards of its own. docs/protocols.md has all cards.

Checkpoints are read as by mmseg-unsup convert-released; the model is written into the folder, beside evaluation.json
and evaluation.md. mmseg-unsup join-tables puts several such tables together.
"""
import argparse
import os
import os.path as osp

from .arguments import OptionsAction
from .convert_released import add_released_checkpoint

_MODEL = 'model.pth'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_released_checkpoint(parser)
    parser.add_argument('--data', required=True, help='data set with labels: the name of a file in '
                        'configs/_base_/datasets, such as camvid, or a config, of which test_dataloader is scored')
    parser.add_argument('--data-root', help="folder of the data set (default: the config's)")
    parser.add_argument('--cards', nargs='+', default=['honest', 'paper'], help='protocol cards: honest, stego, hp, '
                        'smooseg, depthg, eagle, cause, primaps, or paper for that of METHOD (default: honest paper)')
    parser.add_argument('--set', nargs='+', action=OptionsAction, metavar='FIELD=VALUE', help='fields of all cards, '
                        'such as size=224 crf=None flip=True; the table says so')
    parser.add_argument('--out-dir', required=True, help='folder of the model and the table')
    parser.add_argument('--force', action='store_true', help='replace table and model in this folder')


def run(args: argparse.Namespace) -> None:
    from ..analysis import evaluate_released as evaluation
    from ..converters import files, released
    from ..utils import register_all_modules
    files.refuse_existing(osp.join(args.out_dir, evaluation.TABLE), args.force)
    files.refuse_existing(osp.join(args.out_dir, _MODEL), args.force, args.files)
    files.check_place(args.out_dir)
    register_all_modules()
    cards = evaluation.chosen_cards(args.method, args.cards, args.set)
    data, parts = evaluation.labelled_data(args.data, args.data_root), released.read_released(args.method, args.files)
    for card in cards:
        evaluation.check_fits(card, data, parts.n_classes or parts.n_clusters)
    cfg, model = released.build_released(parts, args.backbone)
    report = evaluation.score_under_cards(cfg, model, parts.title, data, cards)
    report['checkpoint'] = released.describe(parts, model)
    os.makedirs(args.out_dir, exist_ok=True)
    released.write_released(parts, cfg, model, osp.join(args.out_dir, _MODEL))
    evaluation.write_table(report, args.out_dir)
    print(f'\n{evaluation.to_markdown(report)}\nwrote {evaluation.TABLE} and {_MODEL} into {args.out_dir}')
