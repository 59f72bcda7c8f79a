"""Check what a GPU makes of this package: right results, speeds and memory, as one JSON file and one page.

    mmseg-unsup gpu-report --out work_dirs/gpu_report

Every check has a process and a time limit of its own; one that fails is listed with its traceback, and others go on.
Nothing is downloaded: data are drawn, weights are random. Exit status: 0 no check failed, 1 some did.
"""
import argparse

from ..utils.checks import at_least


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--out', default='work_dirs/gpu_report', help='folder of the two files (default: %(default)s)')
    parser.add_argument('--only', nargs='+', metavar='CHECK',
                        help='these checks, or those whose names begin so, as train for train-picie')
    parser.add_argument('--minutes', type=at_least(1), default=9,
                        help='what is not begun by then is skipped (default: %(default)s)')
    parser.add_argument('--jobs', type=at_least(1), default=4,
                        help='checks of results that run side by side; speeds run alone (default: %(default)s)')
    parser.add_argument('--device', choices=['cuda', 'cpu'], default='cuda',
                        help='cpu: the same checks where there is no GPU (default: %(default)s)')
    parser.add_argument('--quick', action='store_true', help='tiny checks, which only say whether they work')


def run(args: argparse.Namespace) -> int:
    import os.path as osp

    from ..analysis.benchmark import choose_device
    from ..analysis.gpu_report import choose, run_report
    names = choose(args.only)
    choose_device(args.device)
    report = run_report(args.out, args.device, args.quick, names, args.minutes, args.jobs)
    statuses = [found['status'] for found in report['checks'].values()]
    print(', '.join(f'{statuses.count(status)} {status}' for status in ('ok', 'failed', 'skipped'))
          + f': {osp.join(args.out, "gpu_report.html")}')
    return int('failed' in statuses)
