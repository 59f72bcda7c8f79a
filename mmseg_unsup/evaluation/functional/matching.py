"""From cluster ids and labels to scores; pure numpy.

Letters: C classes, K clusters. Confusion matrices have a row per class and a column per cluster or predicted class.
"""
from typing import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

MATCHES = ('hungarian', 'majority', 'identity')
CRITERIA = ('count', 'iou')
GROUP_DEFINITIONS = ('class_mean', 'gt_only', 'submatrix')
UNMATCHED = -1


def confusion_matrix(labels: np.ndarray, clusters: np.ndarray, n_classes: int, n_clusters: int,
                     ignore_index: int = 255) -> np.ndarray:
    """(C, K) int64 number of pixels of each class in each cluster; ignored pixels do not count.

    Raises:
        ValueError: a label or cluster id is out of range.
    """
    valid = labels != ignore_index
    labels, clusters = labels[valid].astype(np.int64), clusters[valid].astype(np.int64)
    for name, values, limit in (('label', labels, n_classes), ('cluster id', clusters, n_clusters)):
        if values.size and (values.min() < 0 or values.max() >= limit):
            wrong = values.min() if values.min() < 0 else values.max()
            raise ValueError(f'{name} {wrong} is out of range: expected 0..{limit - 1} or {ignore_index} (ignored)')
    flat = np.bincount(labels * n_clusters + clusters, minlength=n_classes * n_clusters)
    return flat.reshape(n_classes, n_clusters)


def match_clusters(confusion: np.ndarray, match: str = 'hungarian', match_on: str = 'count') -> np.ndarray:
    """(C, K) -> (K,) class of each cluster, ``UNMATCHED`` where it gets none.

    Args:
        match: ``'hungarian'``, one-to-one, the assignment with the largest total; with K > C the clusters left over
            stay unmatched (their pixels count as wrong), with K < C some classes get no cluster. A
            class without labelled pixels gets none either: which one would be a matter of their order. ``'majority'``,
            many-to-one, each cluster gets its most frequent class. ``'identity'``, none: the prediction is a class
            already, as that of a supervised probe.
        match_on: what is summed: matched pixels (``'count'``, as published) or class IoU (``'iou'``).

    Raises:
        ValueError: unknown ``match`` or ``match_on``; ``'identity'`` with K > C.
    """
    if match not in MATCHES:
        raise ValueError(f'match={match!r} is not one of {MATCHES}')
    if match_on not in CRITERIA:
        raise ValueError(f'match_on={match_on!r} is not one of {CRITERIA}')
    if match == 'identity':
        if confusion.shape[1] > len(confusion):
            raise ValueError(f"match='identity' takes predictions as classes, but class {confusion.shape[1] - 1} was "
                             f"predicted and there are {len(confusion)}: score clusters by 'hungarian' or 'majority'")
        return np.arange(confusion.shape[1])
    return _match_gain(confusion, _gain(confusion, match_on), match)


def match_named(confusion: np.ndarray, names: Sequence[str], classes: Sequence[str], match: str = 'hungarian',
                match_on: str = 'count') -> np.ndarray:
    """(C, K) -> (K,) as :func:`match_clusters`, for clusters of which some have the name of a class.

    Those are that class, as a person has said so; the others are matched to the classes that are left (by
    ``'majority'`` to any class). If all have the name of a class, nothing is matched.

    Args:
        names: of the K clusters, each once.
        classes: names of the C classes.
    """
    named = np.array([classes.index(name) if name in classes else UNMATCHED for name in names])
    others = np.flatnonzero(named == UNMATCHED)
    rest = np.arange(len(classes)) if match == 'majority' else np.setdiff1d(np.arange(len(classes)), named)
    if len(others) and len(rest):
        open_pairs = np.ix_(rest, others)  # their IoU counts pixels of named clusters too
        found = _match_gain(confusion[open_pairs], _gain(confusion, match_on)[open_pairs], match)
        named[others] = np.where(found == UNMATCHED, UNMATCHED, rest[found])
    return named


def _gain(confusion: np.ndarray, match_on: str) -> np.ndarray:
    """(C, K) float64, what a match of each class and cluster adds."""
    gain = confusion.astype(np.float64)
    if match_on == 'count':
        return gain
    union = gain.sum(1, keepdims=True) + gain.sum(0, keepdims=True) - gain
    return gain / np.maximum(union, 1)


def _match_gain(confusion: np.ndarray, gain: np.ndarray, match: str) -> np.ndarray:
    if match == 'majority':
        return np.where(confusion.sum(0) > 0, gain.argmax(0), UNMATCHED)
    cluster_to_class = np.full(confusion.shape[1], UNMATCHED)
    labelled = np.flatnonzero(confusion.sum(1))
    classes, clusters = linear_sum_assignment(gain[labelled], maximize=True)
    cluster_to_class[clusters] = labelled[classes]
    return cluster_to_class


def matched_confusion(confusion: np.ndarray, cluster_to_class: np.ndarray) -> np.ndarray:
    """(C, K), (K,) -> (C, C + 1) pixels per class and *predicted class*; the last column is unmatched clusters."""
    n_classes = len(confusion)
    matched = np.zeros((n_classes, n_classes + 1), dtype=confusion.dtype)
    columns = np.where(cluster_to_class == UNMATCHED, n_classes, cluster_to_class)
    np.add.at(matched.T, columns, confusion.T)
    return matched


def scores_from_confusion(matched: np.ndarray) -> dict:
    """(C, C + 1) -> ``aAcc``, ``mIoU``, ``mAcc`` and per-class ``IoU``, ``Acc`` (C,), all in percent.

    A class with neither label nor prediction has no IoU (NaN) and is left out of the mean, as is a class without
    labels of ``mAcc``. Without any labelled pixel all scores are NaN.
    """
    correct = np.diagonal(matched).astype(np.float64)
    labelled = matched.sum(1)
    union = labelled + matched[:, :len(matched)].sum(0) - correct
    iou, acc = _percent(correct, union), _percent(correct, labelled)
    return dict(
        aAcc=float(_percent(correct.sum(), labelled.sum())), mIoU=_mean(iou), mAcc=_mean(acc), IoU=iou, Acc=acc)


def group_scores(matched: np.ndarray, members: Sequence[int], definition: str = 'class_mean') -> dict:
    """``aAcc`` and ``mIoU`` of a group of classes such as things or stuff.

    Args:
        matched: (C, C + 1), as :func:`matched_confusion` gives it.
        members: class indices of the group.
        definition: ``'class_mean'``, the mean over the group of the IoUs of the whole evaluation, and the accuracy of
            pixels whose label is in the group; ``'gt_only'``, only pixels whose label is in the group are scored,
            predictions are free; ``'submatrix'``, besides, pixels predicted as a class outside the group are dropped.
            The published tables of this field mix these.
    """
    members = list(members)
    outside = np.setdiff1d(np.arange(matched.shape[1]), members)
    if definition == 'class_mean':
        scores = scores_from_confusion(matched)
        labelled = matched[members].sum()
        return dict(aAcc=float(_percent(matched[members, members].sum(), labelled)), mIoU=_mean(scores['IoU'][members]))
    if definition not in GROUP_DEFINITIONS:
        raise ValueError(f'definition={definition!r} is not one of {GROUP_DEFINITIONS}')
    rest = matched[np.ix_(members, outside)].sum(1, keepdims=True)
    if definition == 'submatrix':
        rest = np.zeros_like(rest)
    scores = scores_from_confusion(np.hstack([matched[np.ix_(members, members)], rest]))
    return dict(aAcc=scores['aAcc'], mIoU=scores['mIoU'])


def _percent(part, whole):
    with np.errstate(invalid='ignore', divide='ignore'):
        return np.float64(100.) * part / whole


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float('nan')
