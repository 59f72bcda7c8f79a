"""Evaluate a checkpoint."""
import argparse
import os
import os.path as osp

import mmseg_unsup  # noqa: F401, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
from mmengine.config import DictAction
from mmengine.runner import Runner

from mmseg_unsup.utils import load_config


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='folder of the scores (default: work_dirs/CONFIG_NAME)')
    parser.add_argument('--out', help='also write a cluster map per image into this folder')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings, key=value; dotted keys reach nested ones, and the variables named in the '
        "config's `shortcuts` (data_root, n_clusters, init) reach every place they stand for")
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    # set by torch.distributed.launch
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main() -> None:
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    default_dir = cfg.get('work_dir') or osp.join('work_dirs', osp.splitext(osp.basename(args.config))[0])
    cfg.work_dir = args.work_dir or default_dir
    cfg.load_from = args.checkpoint
    if args.out:
        evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
        cfg.test_evaluator = [*evaluators, dict(type='mmseg_unsup.ClusterMaps', output_dir=args.out, prefix='maps')]
    Runner.from_cfg(cfg).test()


if __name__ == '__main__':
    main()
