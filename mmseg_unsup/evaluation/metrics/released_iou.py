"""Scores as the released code of STEGO and of what followed it counts them."""
from typing import List

import numpy as np
from scipy.optimize import linear_sum_assignment

from ...registry import METRICS
from ...utils.checks import check_choice
from ..functional.matching import UNMATCHED
from .cluster_iou import ClusterIoUMetric, sum_counts

EXTRA = ('dropped', 'wrong')


@METRICS.register_module()
class ReleasedIoUMetric(ClusterIoUMetric):
    """:class:`ClusterIoUMetric` with the two habits of ``UnsupervisedMetrics`` of STEGO's released code.

    Classes without a labelled pixel are matched like others and have an IoU of 0 where their cluster is predicted.

    Args:
        extra_clusters: ``'dropped'``, pixels of clusters whose number is not below that of the classes do not count at
            all; ``'wrong'``, they count, as in the code of PriMaPs.

    Source: src/utils.py of STEGO's released code.

    Raises:
        ValueError: see :class:`ClusterIoUMetric`; another ``extra_clusters``.
    """
    takes_names = False

    def __init__(self, extra_clusters: str = 'dropped', **settings) -> None:
        super().__init__(match='hungarian', match_on='count', **settings)
        check_choice('extra_clusters', extra_clusters, EXTRA)
        self.extra_clusters = extra_clusters

    def compute_metrics(self, results: List[np.ndarray]) -> dict:
        """Those of :class:`ClusterIoUMetric`, and ``counted``, the share of the labelled pixels in percent that did."""
        scores = super().compute_metrics(results)
        labelled = sum(int(count.sum()) for count in results)
        return dict(scores, counted=round(100 * int(self.confusion.sum()) / labelled, 4))

    def _sum(self, results: List[np.ndarray]) -> np.ndarray:
        confusion = sum_counts(results, len(results[0]))  # as many clusters as classes, whether they occur or not
        return confusion[:, :len(confusion)] if self.extra_clusters == 'dropped' else confusion

    def _match(self, confusion: np.ndarray) -> np.ndarray:
        cluster_to_class = np.full(confusion.shape[1], UNMATCHED)
        classes, clusters = linear_sum_assignment(confusion, maximize=True)
        cluster_to_class[clusters] = classes
        return cluster_to_class
