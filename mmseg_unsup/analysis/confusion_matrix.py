"""The confusion matrix of a checkpoint as a picture."""
from mmengine.config import Config

from ..datasets.pictures import check_picture, write_picture
from ..engine.feature_pass import unwrap
from ..engine.hooks.cluster_pictures_hook import confusion_picture, scored_confusion
from ..engine.runner import ConsoleRunner
from ..evaluation.evaluators import cluster_metric


def draw_confusion(cfg: Config, checkpoint: str, path: str) -> None:
    """Evaluate a checkpoint by labels, and draw classes by clusters, in the order of the matched classes; rows are
    shares of the pixels of a class."""
    check_picture(path)  # before the evaluation
    if cluster_metric(cfg, 'test') is None:
        raise ValueError(_no_labels(cfg))
    cfg.load_from = checkpoint
    runner = ConsoleRunner.from_cfg(cfg)
    runner.test()
    model = unwrap(runner.model)
    metric = scored_confusion(runner.test_loop.evaluator.metrics, model.predicted_sets[0])
    if metric is None:
        raise ValueError(_no_labels(cfg))
    classes = runner.test_dataloader.dataset.metainfo['classes']
    write_picture(path, confusion_picture(metric, classes, model.n_predicted))


def _no_labels(cfg: Config) -> str:
    return (f'{cfg.filename} evaluates without labels: a confusion matrix needs a test_evaluator ClusterIoUMetric, '
            'as the configs of labelled data sets have it')
