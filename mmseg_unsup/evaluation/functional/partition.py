"""How well clusters and classes agree as partitions of the pixels, without matching one to the other.

Both scores read the (C, K) contingency matrix of :func:`confusion_matrix` and do not care how clusters are named or how
many there are.
"""
import numpy as np


def adjusted_rand_index(confusion: np.ndarray) -> float:
    """Share of pixel pairs on which two partitions agree, corrected for chance: 1 identical, 0 expected by chance.

    With T ordered pairs of pixels, of which ``both`` share class and cluster, ``rows`` the class and ``columns`` the
    cluster, it is (both - E) / ((rows + columns) / 2 - E) with E = rows columns / T. Pairs are counted in Python's
    integers: billions of pixels have more pairs than 64 bits hold.

    Two partitions into one part each, or into single pixels each, are identical: 1. Without any pixel it is NaN.

    Args:
        confusion: (C, K) integer counts.

    Raises:
        ValueError: the counts are not integers, or negative.

    Source: Hubert and Arabie, Comparing partitions, Journal of Classification 2, 1985.
    """
    counts = _checked(confusion)
    n_pixels = sum(counts.ravel().tolist())
    if n_pixels == 0:
        return float('nan')
    total = n_pixels * (n_pixels - 1)
    both, rows, columns = (_ordered_pairs(part) for part in (counts.ravel(), _sums(counts), _sums(counts.T)))
    span = total * (rows + columns) - 2 * rows * columns
    return 2 * (total * both - rows * columns) / span if span else 1.


def normalized_mutual_information(confusion: np.ndarray) -> float:
    """Mutual information of class and cluster over the arithmetic mean of their entropies: 1 identical, 0 independent.

    If only one of the two partitions has a single part it is 0, if both have, they are identical: 1. Without any pixel
    it is NaN. No correction for chance: many clusters raise it.

    Args:
        confusion: (C, K) integer counts.

    Raises:
        ValueError: the counts are not integers, or negative.
    """
    counts = _checked(confusion).astype(np.float64)
    if not counts.any():
        return float('nan')
    joint = counts / counts.sum()
    rows, columns = joint.sum(1), joint.sum(0)
    mean_entropy = (_entropy(rows) + _entropy(columns)) / 2
    if mean_entropy == 0:
        return 1.
    c, k = np.nonzero(joint)
    information = (joint[c, k] * np.log(joint[c, k] / (rows[c] * columns[k]))).sum()
    return float(np.clip(information / mean_entropy, 0, 1))


def partition_scores(confusion: np.ndarray) -> dict:
    """(C, K) -> ``ARI`` and ``NMI`` in percent; NaN without any labelled pixel."""
    return dict(ARI=100 * adjusted_rand_index(confusion), NMI=100 * normalized_mutual_information(confusion))


def _checked(confusion: np.ndarray) -> np.ndarray:
    counts = np.asarray(confusion)
    if counts.dtype.kind not in 'iu' or (counts.size and counts.min() < 0):
        raise ValueError('the contingency matrix must hold numbers of pixels, integers of at least 0, but it is '
                         f'{counts.dtype}' + (f' down to {counts.min()}' if counts.size else ''))
    return counts


def _sums(counts: np.ndarray) -> np.ndarray:
    """Row sums that cannot overflow."""
    return counts.astype(object).sum(1)


def _ordered_pairs(sizes: np.ndarray) -> int:
    return sum(size * (size - 1) for size in sizes.tolist())


def _entropy(shares: np.ndarray) -> float:
    shares = shares[(shares > 0) & (shares < 1)]  # the whole has no entropy, not -0.0
    return float(-(shares * np.log(shares)).sum())
