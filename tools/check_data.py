"""Open every file of a config once and list what is wrong, before a run finds out.

    python tools/check_data.py configs/picie/picie_fpn_camvid.py --cfg-options data_root=data/camvid

Lists images that cannot be read or are damaged, label maps and masks of another size or with values out of range, and
images that are in the training and in the evaluation set. Exit status: 0 nothing found, 1 problems found or
the config cannot be used.
"""
import argparse
import sys
from collections import Counter

import mmseg_unsup  # noqa: F401, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
from mmengine.registry import init_default_scope

from mmseg_unsup.datasets.checking import check_data
from mmseg_unsup.utils import load_config
from mmseg_unsup.utils.atomic import replacing
from mmseg_unsup.utils.checks import at_least
from mmseg_unsup.utils.command_line import add_options_argument


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file')
    add_options_argument(parser)
    parser.add_argument('--workers', type=at_least(1), default=8, help='threads that read files (default: 8)')
    parser.add_argument('--out', help='also write the list to this file')
    args = parser.parse_args()
    init_default_scope('mmseg')
    problems, n_images = check_data(load_config(args.config, args.cfg_options), args.workers)
    lines = [f'{problem.kind}, {problem.loader}: {problem.message}' for problem in problems]
    print('\n'.join(lines), end='\n' if lines else '')
    if args.out:
        with replacing(args.out) as part, open(part, 'w') as file:
            file.writelines(f'{line}\n' for line in lines)
    counts = Counter(problem.kind for problem in problems)
    listing = ', '.join(f'{count} of kind {kind}' for kind, count in sorted(counts.items())) or 'no problem'
    print(f'{n_images} images checked: {listing}')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
