"""Write a mask per image: what MaskContrast takes for the objects.

    mmseg-unsup priors IMAGES OUT --prior rbd --workers 8
    mmseg-unsup priors IMAGES OUT --prior tokencut --weights WEIGHTS.pth --workers 8

Every image below IMAGES gets OUT/<its path, .png>, 8 bits, one channel: 0 is background, 255 (of ncut, region and
principal, the id of the region) is an object; all zero says that the prior found no usable mask. OUT/priors.json is the
record, and OUT/contact_sheet.jpg shows some of the masks: look at it before training.

The same command given again goes on where it was stopped, after a check that the settings are those of the record.
Processes that a launcher started (torchrun, srun) share the images, and so do those with --shard 0/W to W-1/W; the last
one writes the record.

The exit status is 1 if fewer than --min-kept of the images have a usable mask, though all files are written; 75 if
SIGTERM or SIGUSR1 stopped it.
"""
import argparse
import sys

from ..utils.checks import at_least, check_share
from .arguments import PRIORS, OptionsAction, add_on_error_argument, add_shard_arguments

MIN_KEPT = 0.6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('images', help='folder of images')
    parser.add_argument('out', help='folder of the masks')
    parser.add_argument('--prior', default='rbd', help=f'one of {", ".join(PRIORS)}, or a registered type')
    parser.add_argument('--weights', metavar='FILE', help='of a ResNet, or an official one of DINO, DINOv2 or DINOv3 '
                        '(under the licence of its authors), for priors that see the features of a network: spectral, '
                        'tokencut, ncut, principal; other networks by --options backbone.type=...')
    parser.add_argument('--options', nargs='+', action=OptionsAction, default={}, metavar='KEY=VALUE',
                        help='options of the prior, such as max_side=400 n_superpixels=200,300 backbone.depth=18')
    parser.add_argument('--workers', type=at_least(1), default=1, help='processes, one thread each')
    add_shard_arguments(parser)
    add_on_error_argument(parser)
    parser.add_argument('--min-kept', type=float, default=MIN_KEPT, help='share of images that must keep a mask')
    parser.add_argument('--seed', type=int, default=0, help='which images the contact sheet shows')


def run(args: argparse.Namespace) -> int:
    import os.path as osp

    from ..apis.mask_folder import RECORD, SHEET, make_mask_folder, too_few
    from ..apis.prior_configs import prior_config
    from ..utils.console import say
    from ..utils.distributed import shard_of_process
    from ..utils.paths import shown
    check_share('--min-kept', args.min_kept)
    config = prior_config(args.prior, args.options, args.weights)
    shard = shard_of_process(args.launcher, args.shard)
    record = make_mask_folder(args.images, args.out, config, args.workers, args.on_error, args.seed, shard)
    if record is None:
        say(f'shard {shard} is finished, others are not: the last one writes {shown(osp.join(args.out, RECORD))}')
        return 0
    say(f'{record["kept"]} of {record["n_images"]} images have a usable mask, {len(record["unreadable"])} are '
        f'unreadable; look at {shown(osp.join(args.out, SHEET))}, the record is {shown(osp.join(args.out, RECORD))}')
    fault = too_few(record, args.out, args.min_kept)
    if fault:
        print(f'error: {fault}, or lower --min-kept', file=sys.stderr)
    return int(bool(fault))
