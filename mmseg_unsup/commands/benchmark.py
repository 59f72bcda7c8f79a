"""Measure an epoch of a config: images/s and seconds per image of each phase, memory, and k-means, or the losses of
MaskContrast, by themselves; of a config without training, the features: computed, stored and read.

    mmseg-unsup benchmark mmseg_unsup::picie/picie_fpn_camvid.py --images 64

On a CPU the data are loaded in the measured process and costs are CPU seconds, with what each phase consists of. On a
GPU the loader keeps its workers and costs are seconds on the clock.
"""
import argparse
import copy
import tempfile
from typing import Tuple

from ..utils.checks import at_least
from .arguments import add_runner_arguments, add_speed_arguments, find_config_first


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_runner_arguments(parser)
    parser.add_argument('--warmup', type=at_least(0), default=1,
                        help='epochs before the measured one (default: %(default)s)')
    add_speed_arguments(parser)
    parser.add_argument('--images', type=at_least(1), help='use so many synthetic images instead of the data set')
    parser.add_argument('--size', type=_width_and_height, default=(640, 480), metavar='WIDTHxHEIGHT',
                        help='of the synthetic images (default: 640x480)')
    parser.add_argument('--kmeans-points', type=at_least(1), default=200_000,
                        help='features to time k-means by itself on (default: %(default)s)')
    parser.add_argument('--kmeans-clusters', type=at_least(1), nargs='+', help="default: the config's")
    parser.add_argument('--only', choices=['epoch', 'kmeans', 'losses', 'features'], help='leave the other parts out')
    parser.add_argument('--device', choices=['cpu', 'cuda'], help='default: the GPU if there is one')
    parser.add_argument('--out', help='also write the numbers into this JSON file')


def _width_and_height(text: str) -> Tuple[int, int]:
    sides = text.lower().split('x')
    if len(sides) != 2 or not all(side.isdecimal() and int(side) >= 32 for side in sides):
        raise argparse.ArgumentTypeError(f'it must be WIDTHxHEIGHT of at least 32 pixels, such as 640x480, but it is '
                                         f'{text!r}')
    return int(sides[0]), int(sides[1])


def run(args: argparse.Namespace) -> None:
    find_config_first(args)
    from ..analysis import benchmark
    from ..engine.run_config import apply_speed_arguments, config_from
    from ..utils import load_config
    from ..utils.atomic import write_json
    benchmark.choose_device(args.device)
    cfg = load_config(args.config, args.cfg_options)
    parts = [args.only] if args.only else ['features'] if benchmark.measures_features(cfg) else [
        'epoch', 'losses' if benchmark.measures_losses(cfg) else 'kmeans']
    report = {}
    # one folder, as what writes the logs of a process keeps that of its first run
    with tempfile.TemporaryDirectory() as folder:
        run_cfg = config_from(args, ('test', ) if parts == ['features'] else ('train', 'val'))
        run_cfg.work_dir = args.work_dir or folder
        if 'epoch' in parts:
            apply_speed_arguments(run_cfg, args)
            report.update(benchmark.measure_config(copy.deepcopy(run_cfg), args.warmup, args.images, args.size,
                                                   not args.compile))
            benchmark.print_report(report)
        if 'kmeans' in parts:
            report['kmeans'] = benchmark.measure_kmeans(run_cfg, args.kmeans_points, args.kmeans_clusters, args.images,
                                                        args.size)
            benchmark.print_kmeans(report['kmeans'])
        if 'features' in parts:
            report['features'] = benchmark.measure_features(run_cfg, args.images, args.size)
            benchmark.print_features(report['features'])
    if 'losses' in parts:
        report['losses'] = benchmark.measure_losses(cfg)
        benchmark.print_losses(report['losses'])
    if args.out:
        write_json(args.out, report)
        print(f'wrote {args.out}')
