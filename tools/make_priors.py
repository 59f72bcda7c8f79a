"""Write a mask per image: what MaskContrast takes for the objects.

    python tools/make_priors.py IMAGES OUT --prior rbd --workers 8

Every image below IMAGES gets OUT/<its path, .png>, 8 bits, one channel: 0 is background, 255 (of RegionPrior, the id of
the region) is an object; all zero says that the prior found no usable mask. OUT/priors.json is the record, and
OUT/contact_sheet.jpg shows some of the masks: look at it before training.

The same command given again goes on where it was stopped, after a check that the settings are those of the record. The
exit status is 1 if fewer than --min-kept of the images have a usable mask; the files are written all the same.
"""
import os

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before numpy, here and in the workers: a process per core is faster

import mmseg_unsup  # noqa: F401, E402, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
import argparse  # noqa: E402
import ast  # noqa: E402
import os.path as osp  # noqa: E402
import sys  # noqa: E402
from typing import Sequence  # noqa: E402

from mmseg_unsup.apis.mask_folder import (  # noqa: E402
    MIN_KEPT, RECORD, SHEET, SHORT_NAMES, make_mask_folder, prior_config, too_few)


def parse_options(texts: Sequence[str]) -> dict:
    """``KEY=VALUE`` texts -> dotted key -> Python value, or the text as it is, spaces included.

    Raises:
        ValueError: a text without '='.
    """
    options = {}
    for text in texts:
        key, equals, value = text.partition('=')
        if not equals or not key:
            raise ValueError(f'--options {text!r} is not of the form KEY=VALUE')
        try:
            options[key] = ast.literal_eval(value)
        except (SyntaxError, ValueError):
            options[key] = value
    return options


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('images', help='folder of images')
    parser.add_argument('out', help='folder of the masks')
    parser.add_argument('--prior', default='rbd', help=f'one of {", ".join(SHORT_NAMES)}, or a registered type')
    parser.add_argument('--options', nargs='+', default=[], metavar='KEY=VALUE',
                        help='options of the prior, such as max_side=400 n_superpixels=200,300 backbone.depth=18')
    parser.add_argument('--workers', type=int, default=1, help='processes, one thread each')
    parser.add_argument('--on-error', choices=('raise', 'skip'), default='raise', help='of an image that is unreadable')
    parser.add_argument('--min-kept', type=float, default=MIN_KEPT, help='share of images that must keep a mask')
    parser.add_argument('--seed', type=int, default=0, help='which images the contact sheet shows')
    args = parser.parse_args()
    if args.workers < 1:
        parser.error(f'--workers must be at least 1, but it is {args.workers}')
    return args


def main() -> int:
    args = parse_args()
    config = prior_config(args.prior, parse_options(args.options))
    record = make_mask_folder(args.images, args.out, config, args.workers, args.on_error, args.seed)
    print(f'{record["kept"]} of {record["n_images"]} images have a usable mask, {len(record["unreadable"])} are '
          f'unreadable; {osp.join(args.out, RECORD)}, {osp.join(args.out, SHEET)}')
    fault = too_few(record, args.out, args.min_kept)
    if fault:
        print(f'{fault}, or lower --min-kept', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
