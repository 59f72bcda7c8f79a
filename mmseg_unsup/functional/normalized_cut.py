"""Normalised cuts of the cells of one image, by exact solutions of the eigenproblem."""
from typing import List, NamedTuple, Optional, Tuple

import numpy as np
from scipy.linalg import eigh
from skimage.measure import label

# Affinity of cells that are not alike: without it the graph falls apart.
WEAK = 1e-5
# What differs less, relative to the largest entry of a vector, is rounding.
_TIE = 1e-9
_MIN_CELLS = 2


class ObjectCut(NamedTuple):
    """What TokenCut finds in an image."""
    vector: np.ndarray  # (h, w) float64, larger on the object
    side: np.ndarray  # (h, w) bool, the side of the object
    seed: Tuple[int, int]  # row and column of the cell that is farthest from an even split
    mask: np.ndarray  # (h, w) bool, the 4-connected part of the side that holds the seed


def cosines(feats: np.ndarray) -> np.ndarray:
    """(C, h, w) features -> (h w, h w) float64 cosines of all pairs of cells; 0 with a cell whose features are 0.

    Raises:
        ValueError: there are fewer than two cells, or values that are no finite numbers.
    """
    if feats.ndim != 3 or feats[0].size < _MIN_CELLS:
        raise ValueError(f'a cut needs features (C, h, w) of at least {_MIN_CELLS} cells, but got {feats.shape}: '
                         'enlarge the image')
    if not np.isfinite(feats).all():
        raise ValueError(f'the features {feats.shape} of an image to be cut hold values that are no finite numbers')
    rows = feats.reshape(len(feats), -1).T.astype(np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return rows @ rows.T


def binary_affinity(feats: np.ndarray, threshold: float) -> np.ndarray:
    """(C, h, w) features -> (h w, h w) affinity: 1 where the cosine of two cells is above the threshold, else 1e-5."""
    affinity = np.where(cosines(feats) > threshold, 1., WEAK)
    np.fill_diagonal(affinity, 1)
    return affinity


def soft_affinity(feats: np.ndarray, exponent: float) -> np.ndarray:
    """(C, h, w) features -> (h w, h w) affinity: cosines, stretched to 0 to 1 over the image, to the power of the
    exponent, and at least 1e-5."""
    similarity = cosines(feats)
    low, high = similarity.min(), similarity.max()
    affinity = np.maximum(((similarity - low) / max(high - low, 1e-12))**exponent, WEAK)
    np.fill_diagonal(affinity, 1)
    return affinity


def cut_vector(affinity: np.ndarray) -> np.ndarray:
    """(n, n) symmetric affinity W -> (n,) second generalised eigenvector y of ``(D - W) y = lambda D y``.

    D is the diagonal matrix of the sums of W. ``y' D y`` is 1, and the entry of the largest magnitude positive; of
    several that differ by rounding only, the first one. It is 0 where all pairs of cells are equally alike, as then
    nothing tells cells apart.

    The same vector is ``D^-1/2 u`` with u the eigenvector of ``D^-1/2 W D^-1/2`` to its second largest eigenvalue, a
    symmetric problem that is solved densely.
    """
    n, root = len(affinity), np.sqrt(affinity.sum(1))
    pairs = affinity.ravel()[1:].reshape(n - 1, n + 1)[:, :-1]  # all but the diagonal
    if np.ptp(pairs) <= _TIE * np.abs(pairs).max():
        return np.zeros(n)
    _, vectors = eigh(affinity / (root[:, None] * root), subset_by_index=[n - 2, n - 2], overwrite_a=True,
                      check_finite=False)
    vector = vectors[:, 0] / root
    return vector * np.sign(vector[_extreme(vector)])


def token_cut(feats: np.ndarray, threshold: float = 0.2) -> ObjectCut:
    """The object of an image: the side of the normalised cut, at the mean of its vector, whose cells are farthest out.

    Args:
        feats: (C, h, w), of TokenCut the keys of the last block of a transformer.
        threshold: cosine above which two cells are alike.

    Source: Wang et al., Self-supervised Transformers for Unsupervised Object Discovery using Normalized Cut, CVPR 2022,
    section 3.2.
    """
    shape = feats.shape[1:]
    vector = cut_vector(binary_affinity(feats, threshold))
    seed = np.unravel_index(_extreme(vector), shape)
    side = (vector > vector.mean()).reshape(shape)
    parts = label(side, connectivity=1)
    return ObjectCut(vector.reshape(shape), side, (int(seed[0]), int(seed[1])), side & (parts == parts[seed]))


def recursive_cut(affinity: np.ndarray, max_cut: float, min_cells: int, max_segments: int) -> np.ndarray:
    """(n, n) affinity -> (n,) int64 segments, 0 for the largest: cells are cut in two again and again.

    The segment that costs the least to cut is always the next one, each on the graph of its own cells, at the place of
    its vector where the cut costs the least.

    Args:
        max_cut: a segment is cut while the value of its cut, in 0 to 2, is below this.
        min_cells: of either side.
        max_segments: how many there are at most.

    Source: Shi and Malik, Normalized Cuts and Image Segmentation, PAMI 2000, section 3, with all splits of a vector
    tried, as in DiffCut (Couairon et al., NeurIPS 2024) a hundred of them.
    """
    done: List[np.ndarray] = []
    waiting = [_cheapest_cut(affinity, np.arange(len(affinity)), min_cells)]
    while waiting:
        value, first, second = waiting.pop(min(range(len(waiting)), key=lambda i: waiting[i][0]))
        if second is None or value >= max_cut or len(done) + len(waiting) + 2 > max_segments:
            done.append(first if second is None else np.sort(np.concatenate([first, second])))
        else:
            waiting += [_cheapest_cut(affinity, first, min_cells), _cheapest_cut(affinity, second, min_cells)]
    segments = np.empty(len(affinity), np.int64)
    for i, cells in enumerate(sorted(done, key=lambda cells: (-len(cells), cells[0]))):
        segments[cells] = i
    return segments


def cut_values(affinity: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(n - 1,) values of the normalised cut between the first k cells of an order and the others, k from 1 on.

    Args:
        affinity: (n, n) symmetric.
        order: (n,) all cells.
    """
    ordered = affinity[np.ix_(order, order)]
    degrees = ordered.sum(1)
    within = np.cumsum(2 * np.tril(ordered, -1).sum(1) + ordered.diagonal())[:-1]  # of the first k cells
    volume = np.cumsum(degrees)[:-1]
    crossing = np.maximum(volume - within, 0)
    return crossing / volume + crossing / (degrees.sum() - volume)


def _cheapest_cut(affinity: np.ndarray, cells: np.ndarray, min_cells: int
                  ) -> Tuple[float, np.ndarray, Optional[np.ndarray]]:
    """Value and sides of the cheapest cut of some cells; infinity, the cells and None where there is none."""
    if len(cells) < max(2 * min_cells, _MIN_CELLS):
        return np.inf, cells, None
    inner = affinity[np.ix_(cells, cells)]
    vector = cut_vector(inner)
    order = np.argsort(vector, kind='stable')
    values = cut_values(inner, order)
    values[np.diff(vector[order]) <= _TIE * np.abs(vector).max()] = np.inf  # an order that is rounding alone
    values[:min_cells - 1] = values[len(values) - min_cells + 1:] = np.inf
    k = int(values.argmin()) + 1
    if values[k - 1] == np.inf:
        return np.inf, cells, None
    return values[k - 1], np.sort(cells[order[:k]]), np.sort(cells[order[k:]])


def _extreme(vector: np.ndarray) -> int:
    """Position of the entry of the largest magnitude, the first one of those that differ by rounding only."""
    size = np.abs(vector)
    return int(np.flatnonzero(size >= (1 - _TIE) * size.max())[0])
