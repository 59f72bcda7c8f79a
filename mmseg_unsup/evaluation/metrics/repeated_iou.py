"""Scores of a probe that predicts several sets."""
from typing import Dict, List, Optional, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from ...registry import METRICS
from ...utils.checks import check_count
from ..probes.base import repeated_names
from .cluster_iou import ClusterIoUMetric

SUMMARIES = ('mean', 'last')


@METRICS.register_module()
class RepeatedIoUMetric(BaseMetric):
    """Scores of :class:`ClusterIoUMetric` over the sets of one probe, each matched on its own.

    Args:
        prediction: name of the probe; the sets ``<name>_1`` to ``<name>_<repeats>`` are scored.
        repeats: of the probe (``stages`` of a linear one), at least 2.
        summary: ``'mean'`` over fits of their own, and ``<score>_std``, the standard deviation (n - 1 in the
            denominator); ``'last'`` of the stages of one fit, and ``best_on_val_<score>`` of the stage with the highest
            mIoU, ``best_on_val_stage``: that choice reads the labels it is scored on.
        kwargs: of :class:`ClusterIoUMetric`.
    """

    def __init__(self,
                 prediction: str,
                 repeats: int,
                 summary: str = 'mean',
                 show_table: bool = False,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None,
                 **kwargs) -> None:
        super().__init__(collect_device, prefix)
        check_count('repeats (a single set is scored by ClusterIoUMetric)', repeats, low=2)
        if summary not in SUMMARIES:
            raise ValueError(f'summary={summary!r} is not one of {SUMMARIES}')
        self.summary = summary
        self.scored_sets = repeated_names(prediction, repeats)
        self._metrics = [ClusterIoUMetric(name, show_table=show_table, **kwargs) for name in self.scored_sets]
        self.match, self.ignore_index = self._metrics[0].match, self._metrics[0].ignore_index

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count pixels per class and cluster, per image and set."""
        counts = []
        for metric in self._metrics:
            metric.dataset_meta, metric.results = self.dataset_meta, []
            metric.process(data_batch, data_samples)
            counts.append(metric.results)
        self.results.extend(zip(*counts))

    def compute_metrics(self, results: List[tuple]) -> dict:
        """Score every set on its own, then sum up."""
        for metric in self._metrics:
            metric.dataset_meta = self.dataset_meta
        scores = [metric.compute_metrics(list(of_set)) for metric, of_set in zip(self._metrics, zip(*results))]
        return mean_scores(scores) if self.summary == 'mean' else _last_and_best(scores)


def mean_scores(scores: List[Dict[str, float]]) -> Dict[str, float]:
    summary = {}
    for name in scores[0]:
        values = [of_set[name] for of_set in scores]
        summary[name] = round(float(np.mean(values)), 4)
        summary[f'{name}_std'] = round(float(np.std(values, ddof=1)), 4)
    return summary


def _last_and_best(scores: List[Dict[str, float]]) -> Dict[str, float]:
    best = max(range(len(scores)), key=lambda stage: scores[stage]['mIoU'])
    chosen = {f'best_on_val_{name}': value for name, value in scores[best].items()}
    return dict(scores[-1], **chosen, best_on_val_stage=best + 1)
