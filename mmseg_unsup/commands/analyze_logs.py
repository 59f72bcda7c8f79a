"""Curves of one or several runs, and a table that compares them.

    mmseg-unsup analyze-logs work_dirs/picie_fpn_camvid work_dirs/mdc_fpn_camvid --keys loss mIoU

The table has the last evaluation of each run, its seconds, the labels that its weights have seen, and the settings in
which the runs differ. A key is any name in the log: of the training (loss, lr) over iterations, or a score over epochs.
"""
import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('runs', nargs='+', help='work directories')
    parser.add_argument('--keys', nargs='+', default=[], help='names in the log to draw, and the scores of the table '
                        '(default: all scores, no curves)')
    parser.add_argument('--out', default='curves.png', help='picture of the curves (default: %(default)s)')


def run(args: argparse.Namespace) -> None:
    from ..analysis.analyze_logs import compare_runs
    table = compare_runs(args.runs, args.keys, args.out)
    if args.keys:
        print(f'curves: {args.out}\n')
    print(table)
