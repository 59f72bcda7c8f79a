"""Evaluate a checkpoint."""
import os.path as osp

import mmseg_unsup  # noqa: F401, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
from mmengine.runner import Runner

from mmseg_unsup.engine.feature_pass import unwrap
from mmseg_unsup.engine.hooks import PCAInitHook
from mmseg_unsup.models.decode_heads.cluster_head import FRESH
from mmseg_unsup.models.segmentors import PseudoLabelSegmentor
from mmseg_unsup.structures import ClusterNames
from mmseg_unsup.utils.command_line import config_from, runner_parser
from mmseg_unsup.utils.data_workers import ending_data_workers


def give_names(evaluators: list, path: str) -> None:
    """Let metrics of the named clusters read the file; those of other sets and probes stay as they are."""
    sets = (None, ClusterNames.load(path).prototype_set)
    for evaluator in evaluators:
        name = evaluator['type'].rpartition('.')[2]
        if name in ('ClusterMaps', 'HungarianIoUMetric') and evaluator.get('prototype_set') in sets:
            evaluator['clusters'] = path
    if not any('clusters' in evaluator for evaluator in evaluators):
        raise ValueError(f'{path} names the clusters of {sets[1]!r}, which no metric of test_evaluator reads: it needs '
                         f"an mmseg_unsup.HungarianIoUMetric with prototype_set={sets[1]!r}")


def leave_out_trained_sets(cfg, evaluators: list) -> list:
    """Weights that have not been trained have no clusters of a training, only those of a fresh k-means."""
    test_cfg = cfg.model.get('test_cfg') or {}
    trained = [name for name in test_cfg.get('prototype_sets', []) if name != FRESH]
    if trained:
        test_cfg['prototype_sets'] = [FRESH]
    return [evaluator for evaluator in evaluators if evaluator.get('prototype_set') not in trained]


def initialize(runner: Runner) -> None:
    """Give the model the weights that a training of its config starts from."""
    model = unwrap(runner.model)
    model.init_weights()
    for hook in runner.hooks:
        if isinstance(hook, PCAInitHook):
            hook.before_train(runner)
    if isinstance(model, PseudoLabelSegmentor):
        model.update_labeller()


@ending_data_workers()
def main() -> None:
    parser = runner_parser(__doc__)
    parser.add_argument('checkpoint', help="checkpoint file; 'none' scores the weights that the model starts from")
    parser.add_argument('--out', help='also write a map of cluster ids per image into this folder')
    parser.add_argument('--clusters', help='clusters.json (tools/name_clusters.py): score its merged and named '
                        'clusters, and write maps of them')
    args = parser.parse_args()
    cfg = config_from(args)
    cfg.load_from = None if args.checkpoint == 'none' else args.checkpoint
    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    if cfg.load_from is None:
        evaluators = leave_out_trained_sets(cfg, evaluators)
    if args.clusters:
        give_names(evaluators, args.clusters)
    if args.out:
        dataset = cfg.test_dataloader.dataset
        root = osp.join(dataset.data_root, dataset.get('data_prefix', {}).get('img_path', ''))
        maps = dict(type='mmseg_unsup.ClusterMaps', output_dir=args.out, root=root, clusters=args.clusters,
                    prefix='maps')
        evaluators = [*evaluators, maps]
    cfg.test_evaluator = evaluators
    runner = Runner.from_cfg(cfg)
    if cfg.load_from is None:
        initialize(runner)
    runner.test()


if __name__ == '__main__':
    main()
