"""The metrics that a config names."""
from typing import List, Optional

from mmengine.config import Config

from ..registry import METRICS
from ..utils.registered import class_of
from .metrics import ClusterIoUMetric


def evaluators_of(cfg: Config, stage: str) -> List[dict]:
    """The metrics of a ``stage``, ``'val'`` or ``'test'``, as a list, also where the config has one or none."""
    found = cfg.get(f'{stage}_evaluator') or []
    return found if isinstance(found, list) else [found]


def cluster_metric(cfg: Config, stage: str) -> Optional[dict]:
    """The first metric of a stage that is a :class:`ClusterIoUMetric`; None without."""
    return next((metric for metric in evaluators_of(cfg, stage)
                 if issubclass(class_of(metric, METRICS) or type, ClusterIoUMetric)), None)
