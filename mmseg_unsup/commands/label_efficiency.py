"""Compare starts of supervised training by what they reach with few labels: a table, a JSON file and a plot.

    mmseg-unsup label-efficiency mmseg_unsup::finetune/label_efficiency_camvid.yml --work-dir RUNS

The YAML, JSON or Python file names

    config       a supervised config, such as mmseg_unsup::finetune/fpn_r18_camvid.py
    starts       name -> options of that config, such as {init: PATH} or {init: null}; `{seed}` in a text becomes the
                 seed of the run
    percents     shares of the training images whose labels are used, in percent
    seeds        each is a run with its own order, augmentation, new weights and, by default, its own subset
    subset_seed  optional: one seed for the subsets of all runs
    metrics      optional: scores by their names in the log; the first one is plotted (default: mIoU, aAcc)
    cfg_options  optional: options of all runs
    amp          optional: mixed precision

All starts of a seed see the same subset (mmseg_unsup/analysis/subsets.py), and smaller subsets lie in larger ones.
Every run is a process of mmseg-unsup train with a folder of its own, WORK_DIR/START/percent_P/seed_S. Finished runs are
not repeated and interrupted ones go on, so the same command can be given again. Scores are those of the last
evaluation.
"""
import argparse

from .arguments import WordsAction


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(words=[])
    parser.add_argument('settings', help='YAML, JSON or Python file, see above')
    parser.add_argument('--work-dir', default='work_dirs/label_efficiency',
                        help='folder of the runs and the lists (default: %(default)s)')
    parser.add_argument('--out-dir', help='folder of label_efficiency.{md,json,png} (default: the work dir)')
    parser.add_argument('--cfg-options', nargs='+', action=WordsAction, metavar='KEY=VALUE', help='options of all runs')


def run(args: argparse.Namespace) -> None:
    from ..analysis.label_efficiency import compare_starts, read_settings
    from ..utils import register_all_modules
    register_all_modules()
    settings, out = read_settings(args.settings), args.out_dir or args.work_dir
    table = compare_starts(settings, args.work_dir, out, args.words)
    print(f'\n{table}\nwrote label_efficiency.md, .json and .png into {out}')
