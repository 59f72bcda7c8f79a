"""Scores of a probe that was fitted several times."""
from typing import List, Optional, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from ...registry import METRICS
from ..probes.base import repeated_names
from .hungarian_iou import HungarianIoUMetric


@METRICS.register_module()
class RepeatedIoUMetric(BaseMetric):
    """Mean of each score of :class:`HungarianIoUMetric` over repeated fits, and its standard deviation as
    ``<score>_std`` (n - 1 in the denominator).

    Args:
        prototype_set: name of the probe; the sets ``<name>_1`` to ``<name>_<repeats>`` are scored, each matched on its
            own.
        repeats: of the probe, at least 2.
        kwargs: of :class:`HungarianIoUMetric`.

    Raises:
        ValueError: fewer than two repeats.
    """

    def __init__(self,
                 prototype_set: str,
                 repeats: int,
                 show_table: bool = False,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None,
                 **kwargs) -> None:
        super().__init__(collect_device, prefix)
        if repeats < 2:
            raise ValueError(f'RepeatedIoUMetric needs repeats from 2 on, but it is {repeats}: HungarianIoUMetric '
                             'scores a single set')
        self.scored_sets = repeated_names(prototype_set, repeats)
        self._metrics = [HungarianIoUMetric(name, show_table=show_table, **kwargs) for name in self.scored_sets]
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
        """Score every set on its own, then mean and standard deviation."""
        for metric in self._metrics:
            metric.dataset_meta = self.dataset_meta
        scores = [metric.compute_metrics(list(of_set)) for metric, of_set in zip(self._metrics, zip(*results))]
        summary = {}
        for name in scores[0]:
            values = [of_set[name] for of_set in scores]
            summary[name] = round(float(np.mean(values)), 4)
            summary[f'{name}_std'] = round(float(np.std(values, ddof=1)), 4)
        return summary
