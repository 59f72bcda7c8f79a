"""The evaluation of a checkpoint from its config."""
import os.path as osp
import time
from typing import Optional

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from ..datasets.image_files import sharing_listings
from ..evaluation.evaluators import evaluators_of
from ..models.clusters import FRESH
from ..registry import METRICS
from ..structures import ClusterNames
from ..utils.config_check import check_config
from ..utils.console import duration, say
from ..utils.paths import shown
from ..utils.registered import class_of
from ..utils.score_table import by_set, score_table
from .feature_pass import unwrap
from .run_facts import config_fact, data_fact, device_fact, folder_fact, say_end, say_facts
from .runner import ConsoleRunner
from .starting import check_save, initialize, save_model


@sharing_listings()
def test_config(cfg: Config, checkpoint: Optional[str], clusters: Optional[str] = None, out: Optional[str] = None,
                save: Optional[str] = None) -> None:
    """Run the test of a config.

    Args:
        checkpoint: None for the weights that a training starts from.
        clusters: a ``clusters.json``: score its merged and named clusters.
        out: folder for a map of cluster ids per image.
        save: file for a model of the weights that a training starts from, with the clusters that were fitted to them.

    Raises:
        FileExistsError: ``save`` is there.
        ValueError: ``save`` of a checkpoint, which is there already; something in the config is wrong, see
            :func:`check_config`; no metric reads the clusters that the file names.
    """
    check_config(cfg, ('test', ))
    if save:
        check_save(save, checkpoint)
    cfg.load_from = checkpoint
    evaluators = evaluators_of(cfg, 'test')
    if checkpoint is None:
        evaluators = leave_out_trained_sets(cfg, evaluators)
    if clusters:
        give_names(evaluators, clusters)
    if out:
        dataset = cfg.test_dataloader.dataset
        root = osp.join(dataset.data_root, dataset.get('data_prefix', {}).get('img_path', ''))
        maps = dict(type='mmseg_unsup.ClusterMaps', output_dir=out, root=root, clusters=clusters, prefix='maps')
        evaluators = [*evaluators, maps]
    cfg.test_evaluator = evaluators
    runner = ConsoleRunner.from_cfg(cfg)
    if checkpoint is None:
        initialize(runner)
    loader = runner.test_dataloader
    say_facts(dict(
        config=config_fact(cfg), weights=shown(checkpoint) if checkpoint else 'those of the start',
        data=data_fact(loader), folder=folder_fact(loader), device=device_fact(runner)))
    start = time.time()
    metrics = runner.test()
    if is_main_process():
        _say_scores(runner, metrics)
        if save:
            save_model(runner, save)
        text = f'{len(loader.dataset):,} images evaluated in {duration(time.time() - start)}'
        say_end(text, {name: path for name, path in (('maps', out), ('model', save)) if path})


def _say_scores(runner: Runner, metrics: dict) -> None:
    """The tables of the classes, which the metrics have logged, then all scores."""
    for metric in runner.test_loop.evaluator.metrics:
        if getattr(metric, 'table', None):
            print(metric.table)
    if by_set(metrics):
        sets = getattr(unwrap(runner.model), 'predicted_sets', ['all'])
        say(score_table(metrics, sets[0]))


def give_names(evaluators: list, path: str) -> None:
    """Let metrics of the named clusters read the file; those of other sets and probes stay as they are."""
    sets = (None, ClusterNames.load(path).cluster_set)
    for evaluator in evaluators:
        takes_names = getattr(class_of(evaluator, METRICS), 'takes_names', False)
        if takes_names and evaluator.get('prediction') in sets:
            evaluator['clusters'] = path
    if not any('clusters' in evaluator for evaluator in evaluators):
        raise ValueError(f'{path} names the clusters of {sets[1]!r}, which no metric of test_evaluator reads: it needs '
                         f"an mmseg_unsup.ClusterIoUMetric with prediction={sets[1]!r}")


def leave_out_trained_sets(cfg, evaluators: list) -> list:
    """Weights that have not been trained have no clusters of a training, only those of a fresh k-means."""
    test_cfg = cfg.model.get('test_cfg') or {}
    trained = [name for name in test_cfg.get('cluster_sets', []) if name != FRESH]
    if trained:
        test_cfg['cluster_sets'] = [FRESH]
    return [evaluator for evaluator in evaluators if evaluator.get('prediction') not in trained]
