"""How well clusters and classes agree as partitions of the pixels, without matching one to the other.

Both scores read the (C, K) contingency matrix of :func:`confusion_matrix`, with a ValueError for counts that are not
integers of at least 0, and do not care how clusters are named or how many there are.
"""
import numpy as np
from scipy.special import entr


def adjusted_rand_index(confusion: np.ndarray) -> float:
    """Share of pixel pairs on which two partitions agree, corrected for chance: 1 identical, 0 expected by chance.

    With T ordered pairs of pixels, of which ``both`` share class and cluster, ``rows`` the class and ``columns`` the
    cluster, it is (both - E) / ((rows + columns) / 2 - E) with E = rows columns / T. Pairs are counted in Python's
    integers: billions of pixels have more pairs than 64 bits hold.

    Two partitions into one part each, or into single pixels each, are identical: 1. Without any pixel it is NaN.

    Source: Hubert and Arabie, Comparing partitions, Journal of Classification 2, 1985.
    """
    exact = _checked(confusion).astype(object)
    n_pixels = exact.sum()
    if n_pixels == 0:
        return float('nan')
    total = n_pixels * (n_pixels - 1)
    both, rows, columns = ((sizes * (sizes - 1)).sum() for sizes in (exact, exact.sum(1), exact.sum(0)))
    span = total * (rows + columns) - 2 * rows * columns
    return 2 * (total * both - rows * columns) / span if span else 1.


def normalized_mutual_information(confusion: np.ndarray) -> float:
    """Mutual information of class and cluster over the arithmetic mean of their entropies: 1 identical, 0 independent.

    If only one of the two partitions has a single part it is 0, if both have, they are identical: 1. Without any pixel
    it is NaN. No correction for chance: many clusters raise it.
    """
    counts = _checked(confusion).astype(np.float64)
    if not counts.any():
        return float('nan')
    joint = counts / counts.sum()
    both = entr(joint.sum(1)).sum() + entr(joint.sum(0)).sum()
    return float(np.clip(2 * (both - entr(joint).sum()) / both, 0, 1)) if both else 1.


def partition_scores(confusion: np.ndarray) -> dict:
    """(C, K) -> ``ARI`` and ``NMI`` in percent; NaN without any labelled pixel."""
    return dict(ARI=100 * adjusted_rand_index(confusion), NMI=100 * normalized_mutual_information(confusion))


def _checked(confusion: np.ndarray) -> np.ndarray:
    counts = np.asarray(confusion)
    if counts.dtype.kind not in 'iu' or (counts.size and counts.min() < 0):
        raise ValueError('the contingency matrix must hold numbers of pixels, integers of at least 0, but it is '
                         f'{counts.dtype}' + (f' down to {counts.min()}' if counts.size else ''))
    return counts
