"""Scores of groups of classes as the released PiCIE code prints them."""
from typing import List, Sequence

import numpy as np

from ...registry import METRICS
from ..functional import scores_from_confusion
from ..functional.matching import UNMATCHED
from .cluster_iou import ClusterIoUMetric, sum_counts


@METRICS.register_module()
class ReleasedGroupsIoUMetric(ClusterIoUMetric):
    """:class:`ClusterIoUMetric` with the groups of :func:`released_group_scores`; for as many clusters as classes."""
    takes_names = False  # merged clusters are not as many as classes

    def _sum(self, results: List[np.ndarray]) -> np.ndarray:
        return sum_counts(results, len(results[0]))  # as many clusters as classes, whether they occur or not

    def _score_group(self, members: Sequence[int]) -> dict:
        return released_group_scores(self.confusion, self.cluster_to_class, members)


def released_group_scores(confusion: np.ndarray, cluster_to_class: np.ndarray, members: Sequence[int]) -> dict:
    """Thing or stuff scores as the released PiCIE code prints them (commons.py:222-239).

    It moves the *rows* of the confusion matrix to the cluster ids and then cuts out rows and columns by class index, so
    the group it scores is not the group it names. Kept to compare with printed numbers only; needs C = K and a
    one-to-one matching. Clusters left over take the classes that never occur, in order.
    """
    unmatched = np.flatnonzero(cluster_to_class == UNMATCHED)
    left = np.setdiff1d(np.arange(len(confusion)), cluster_to_class)
    cluster_to_class = cluster_to_class.copy()
    cluster_to_class[unmatched[:len(left)]] = left[:len(unmatched)]
    if confusion.shape[0] != confusion.shape[1] or (np.sort(cluster_to_class) != np.arange(len(confusion))).any():
        raise ValueError('the released scores of groups need as many clusters as classes and a one-to-one matching, '
                         f'but got {confusion.shape[1]} clusters for {confusion.shape[0]} classes')
    by_cluster = confusion[cluster_to_class]  # row k: the class that cluster k was matched to
    part = by_cluster[np.ix_(members, members)]
    scores = scores_from_confusion(np.hstack([part, np.zeros((len(part), 1), part.dtype)]))
    return dict(aAcc=scores['aAcc'], mIoU=scores['mIoU'])
