"""Make object masks from label maps: the upper bound of what mask priors could give.

LABELS/a/b.png becomes OUT/a/b.png, 255 where the label is one of --objects, 0 elsewhere.
"""
import argparse
import os.path as osp

import numpy as np

from mmseg_unsup.datasets.image_files import find_images
from mmseg_unsup.datasets.transforms.masks import read_mask
from mmseg_unsup.utils.checks import at_least
from mmseg_unsup.utils.pictures import write_picture
from mmseg_unsup.utils.progress import track_progress


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('labels', help='folder of label maps')
    parser.add_argument('out', help='folder of the masks')
    parser.add_argument('--objects', type=at_least(0), nargs='+', required=True,
                        help='values of the label maps that are objects')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if osp.realpath(args.out) == osp.realpath(args.labels):
        raise ValueError(f'{args.out} is the folder of the label maps, which masks of the same names would replace: '
                         'give another one')
    paths = find_images(args.labels)
    n_with_object = 0
    with track_progress('masks', len(paths)) as advance:
        for path in paths:
            mask = np.isin(read_mask(path), args.objects)
            target = osp.join(args.out, osp.splitext(osp.relpath(path, args.labels))[0] + '.png')
            write_picture(target, mask.astype(np.uint8) * 255)
            n_with_object += bool(mask.any())
            advance(1)
    if not n_with_object:
        raise ValueError(f'none of the {len(paths)} label maps holds {args.objects}: check the values of --objects; '
                         f'the masks in {args.out} are empty')
    print(f'wrote {len(paths)} masks to {args.out}, {n_with_object} with an object')


if __name__ == '__main__':
    main()
