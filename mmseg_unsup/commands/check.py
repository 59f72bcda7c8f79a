"""Open every file of a config once and list what is wrong, before a run finds out.

    mmseg-unsup check configs/picie/picie_fpn_camvid.py --cfg-options data_root=data/camvid

Lists images that cannot be read or are damaged, label maps and masks of another size or with values out of range, and
images that are in the training and in the evaluation set. Exit status: 0 nothing found, 1 problems found, 2 the config
or its data cannot be used at all.
"""
import argparse

from ..utils.checks import at_least
from .arguments import add_options_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', metavar='CONFIG', help='config file, or its name, PACKAGE::PATH')
    add_options_argument(parser)
    parser.add_argument('--workers', type=at_least(1), default=8, help='threads that read files (default: %(default)s)')
    parser.add_argument('--out', help='also write the list to this file')


def run(args: argparse.Namespace) -> int:
    import time
    from collections import Counter

    from mmengine.registry import init_default_scope

    from ..datasets.checking import check_data
    from ..utils.atomic import write_text
    from ..utils.config import load_config
    start = time.perf_counter()
    init_default_scope('mmseg')
    problems, n_images = check_data(load_config(args.config, args.cfg_options), args.workers)
    lines = [f'{problem.kind}, {problem.loader}: {problem.message}' for problem in problems]
    print('\n'.join(lines), end='\n' if lines else '')
    if args.out:
        write_text(args.out, ''.join(f'{line}\n' for line in lines))
    counts = Counter(problem.kind for problem in problems)
    listing = ', '.join(f'{count} of kind {kind}' for kind, count in sorted(counts.items())) or 'no problem'
    print(f'{n_images} images checked in {time.perf_counter() - start:.1f} s: {listing}')
    return 1 if problems else 0
