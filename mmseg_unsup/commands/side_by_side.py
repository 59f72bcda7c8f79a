"""Cost of a training epoch of PiCIE here, times that of the released code, measured in turns on this machine.

    mmseg-unsup side-by-side PiCIE --data-root data/camvid --init resnet18.pth --out side_by_side.json

CLONE is a clone of https://github.com/janghyuncho/PiCIE, with or without work tree; its code runs as it is, on one CPU
thread. It needs torchvision and faiss (pip install torchvision faiss-cpu). All run in turns, each in a process of its
own that loads its data itself, on the same images in the same size and batches: an epoch of a few images that is not
measured, then one that is: its clustering, labels and training. Evaluation, checkpoints and what comes before the
first epoch are left out on both sides. The ratios are of user time; the clock and the time of the kernel are beside
them. On a machine that others use too, bind it to one core (taskset -c 1).
"""
import argparse

from ..utils.checks import at_least


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('clone', metavar='CLONE', help='clone of the released code')
    parser.add_argument('--data-root', default='data/camvid', help='has images/train (default: %(default)s)')
    parser.add_argument('--init', help="file of ResNet-18 weights with torchvision's names (default: random ones)")
    parser.add_argument('--ours', nargs='+', metavar='NAME=CONFIG[,KEY=VALUE...][,amp]',
                        help='what is measured beside it (default: picie_fpn_camvid.py in float32 and with amp, with K '
                        'clusters alone, and the released recipe)')
    parser.add_argument('--repeats', type=at_least(1), default=3, help='of all of them (default: %(default)s)')
    parser.add_argument('--images', type=at_least(1), help='so many of the training images (default: all)')
    parser.add_argument('--warmup-images', type=at_least(1), default=32,
                        help='of the epoch that is not measured (default: %(default)s)')
    parser.add_argument('--packages', help='a further folder of packages, where torchvision or faiss are installed')
    parser.add_argument('--out', help='also write the numbers into this JSON file')


def run(args: argparse.Namespace) -> None:
    from ..analysis import side_by_side
    from ..utils import register_all_modules
    from ..utils.atomic import write_json
    register_all_modules()
    side_by_side.check_packages(args.packages)
    work, ours = side_by_side.plan(args.ours or side_by_side.OURS, args.data_root, args.init, args.images,
                                   args.warmup_images)
    report = side_by_side.measure(args.clone, work, ours, args.repeats, args.packages, args.out)
    print(side_by_side.table_of(report))
    if args.out:
        write_json(args.out, report)
        print(f'wrote {args.out}')
