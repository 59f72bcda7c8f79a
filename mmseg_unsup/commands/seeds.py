"""Train configs with several seeds and write one table: mean ± standard deviation (n - 1) of the last checkpoint.

    mmseg-unsup seeds mmseg_unsup::picie/picie_fpn_camvid.py mmseg_unsup::mdc/mdc_fpn_camvid.py --seeds 1 2 3

Every run is a process of mmseg-unsup train with a folder of its own, WORK_DIR/CONFIG/seed_S. Finished runs are not
repeated and interrupted ones go on, so the same command can be given again. A config that trains nothing, such as
mmseg_unsup::features/features_r18_camvid.py, is scored by mmseg-unsup test. Minutes are those of all phases of a run,
without the start of its process. Written: seeds.md and seeds.json; a table of other runs is not overwritten.

Label-free scores compare clusters of checkpoints on the same cells of the same training images: a k-means with the
settings of the config's fresh one is fitted to each checkpoint (mmseg_unsup/analysis/label_free.py has the
definitions). --select label-free names, of the checkpoints that a run kept, the one with the highest view_NMI, the
later one of equals. Labels choose nothing; the epoch that they would choose is printed for information only.
"""
import argparse

from ..utils.checks import at_least
from .arguments import WordsAction, add_speed_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(words=[])
    parser.add_argument('configs', nargs='+', help='config files, or mmseg_unsup::NAME')
    parser.add_argument('--seeds', type=at_least(0), nargs='+', required=True, help='values of randomness.seed')
    parser.add_argument('--work-dir', default='work_dirs/seeds', help='folder of the runs (default: %(default)s)')
    parser.add_argument('--out-dir', help='folder of seeds.md and seeds.json (default: the work dir)')
    parser.add_argument('--metrics', nargs='+', default=['aAcc', 'mIoU'],
                        help='scores by their names in the log; those of the fresh k-means have no prefix '
                        '(default: aAcc mIoU)')
    parser.add_argument('--select', choices=['label-free'], help='also name a checkpoint per run, see above')
    parser.add_argument('--images', type=at_least(1), default=256,
                        help='training images of the label-free scores (default: %(default)s)')
    parser.add_argument('--cells', type=at_least(1), default=20_000,
                        help='feature cells of them (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', action=WordsAction, metavar='KEY=VALUE',
                        help='passed on to mmseg-unsup train')
    add_speed_arguments(parser)


def run(args: argparse.Namespace) -> None:
    from ..analysis.seeds import plan_runs, train_seeds
    from ..utils import register_all_modules
    register_all_modules()
    flags = [f'--{flag}' for flag in ('amp', 'compile') if getattr(args, flag)]
    runs = plan_runs(args.configs, args.seeds, args.work_dir, args.words, flags)
    out = args.out_dir or args.work_dir
    table = train_seeds(runs, out, args.metrics, args.words, args.amp, bool(args.select), args.images, args.cells)
    print(f'\n{table}\nwrote seeds.md and seeds.json into {out}')
