"""Evaluate a checkpoint."""
import os.path as osp

import mmseg_unsup  # noqa: F401, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
from mmengine.runner import Runner

from mmseg_unsup.engine.feature_pass import unwrap
from mmseg_unsup.utils.command_line import config_from, runner_parser


def main() -> None:
    parser = runner_parser(__doc__)
    parser.add_argument('checkpoint', help="checkpoint file; 'none' scores the weights that the model starts from")
    parser.add_argument('--out', help='also write a map of cluster ids per image into this folder')
    args = parser.parse_args()
    cfg = config_from(args)
    cfg.load_from = None if args.checkpoint == 'none' else args.checkpoint
    if args.out:
        evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
        dataset = cfg.test_dataloader.dataset
        root = osp.join(dataset.data_root, dataset.get('data_prefix', {}).get('img_path', ''))
        maps = dict(type='mmseg_unsup.ClusterMaps', output_dir=args.out, root=root, prefix='maps')
        cfg.test_evaluator = [*evaluators, maps]
    runner = Runner.from_cfg(cfg)
    if cfg.load_from is None:
        unwrap(runner.model).init_weights()
    runner.test()


if __name__ == '__main__':
    main()
