"""What can be said about a clustering without labels.

Letters: N rows (pixel features), C channels, K clusters. All scores are plain floats; shares lie in [0, 1].
"""
import math
from typing import Dict, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from ..utils.random import keyed_generator
from ..evaluation.functional.matching import UNMATCHED, confusion_matrix, match_clusters
from ..evaluation.functional.partition import adjusted_rand_index, normalized_mutual_information

# Bytes of the largest block of float64 distances at a time.
CHUNK_BYTES = 2**25
# Names of `label_free_scores`, and whether more is better.
SCORES = dict(kmeans_loss=False, balance=True, silhouette=True, view_matched=True, view_ARI=True, view_NMI=True)


def assign_rows(rows: Tensor, centers: Tensor) -> Tuple[Tensor, Tensor]:
    """(N, C), (K, C) -> (N,) int64 nearest centre, and (N,) float64 squared distance to it."""
    index, squared = [], []
    centers = centers.double()
    for chunk in _chunks(rows, len(centers) + rows.size(1)):
        chunk = chunk.double()
        nearest = (centers.square().sum(1) / 2 - chunk @ centers.t()).argmin(1)
        index.append(nearest)
        squared.append((chunk - centers[nearest]).square().sum(1))
    return torch.cat(index), torch.cat(squared)


def cluster_balance(counts) -> float:
    """Entropy of the shares of (K,) cluster sizes over ln K: 1 for equal sizes, 0 for a single filled cluster.

    Empty clusters count in K. Without any member it is NaN.

    Raises:
        ValueError: fewer than two clusters, which have no balance.
    """
    counts = np.asarray(counts, np.float64)
    if len(counts) < 2:
        raise ValueError(f'balance compares clusters, but there are {len(counts)}: give the sizes of at least 2, zeros '
                         'of empty ones included')
    if not counts.any():
        return float('nan')
    shares = counts[(counts > 0) & (counts < counts.sum())] / counts.sum()
    return float((shares * np.log(1 / shares)).sum() / math.log(len(counts)))


def cluster_agreement(first: np.ndarray, second: np.ndarray, n_clusters: int) -> Dict[str, float]:
    """How well two clusterings of the same cells agree, such as those of two views of an image.

    Args:
        first, second: cluster ids of any one shape, below ``n_clusters``.

    Returns:
        dict: ``matched``, the share of the cells whose clusters correspond under the one-to-one matching of clusters
        that makes it largest; ``ARI`` and ``NMI``, see :mod:`mmseg_unsup.evaluation.functional.partition`. NaN without
        cells. ``matched`` is high wherever one cluster holds nearly everything; ``ARI`` and ``NMI`` are not.

    Raises:
        ValueError: the shapes differ, or an id is out of range.
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape:
        raise ValueError(f'clusterings of shape {first.shape} and {second.shape} are not of the same cells: bring '
                         'both views to one grid')
    # cluster ids are never void: 255 is an id like any other
    counts = confusion_matrix(first, second, n_clusters, n_clusters, ignore_index=-1)
    partner = match_clusters(counts)
    kept = np.flatnonzero(partner != UNMATCHED)
    matched = counts[partner[kept], kept].sum() / counts.sum() if counts.any() else float('nan')
    return dict(matched=float(matched), ARI=adjusted_rand_index(counts), NMI=normalized_mutual_information(counts))


def silhouette(rows: Tensor, clusters: Tensor, max_rows: Optional[int] = 2000, seed: int = 0) -> float:
    """Mean over rows of (b - a) / max(a, b): a, the mean distance to the others of the row's own cluster; b, the least
    mean distance to another cluster. 1: compact and apart; below 0: nearer to another cluster.

    A row that is alone in its cluster counts 0. The definition is that of ``sklearn.metrics.silhouette_score``; with
    fewer than two clusters among the rows, where scikit-learn raises, it is NaN.

    Args:
        rows: (N, C).
        clusters: (N,) cluster ids.
        max_rows: take so many rows at random, the same for the same seed; None for all. Time grows with its square.

    Source: Rousseeuw, Silhouettes, Journal of Computational and Applied Mathematics 20, 1987.
    """
    if max_rows is not None and len(rows) > max_rows:
        chosen = torch.from_numpy(keyed_generator(seed).choice(len(rows), max_rows, replace=False)).to(rows.device)
        rows, clusters = rows[chosen], clusters[chosen]
    ids, own = clusters.unique(return_inverse=True)
    if len(ids) < 2:
        return float('nan')
    rows, members = rows.double(), torch.nn.functional.one_hot(own).double()
    sizes, sums = members.sum(0), []  # (K,), and of the distances of a row to those of each cluster
    chunks = _chunks(rows, len(rows))
    for i, chunk in enumerate(chunks):
        distances = torch.cdist(chunk, rows)
        distances.diagonal(i * len(chunks[0])).zero_()  # of a row to itself, rounding aside
        sums.append(distances @ members)
    total, here = torch.cat(sums), torch.arange(len(rows), device=rows.device)
    inner = total[here, own] / (sizes[own] - 1).clamp(min=1)
    means = total / sizes
    means[here, own] = math.inf
    outer = means.min(1).values
    values = (outer - inner) / torch.maximum(inner, outer).clamp(min=torch.finfo(torch.double).tiny)
    return float(torch.where(sizes[own] > 1, values, 0.).sum()) / len(rows)


def label_free_scores(rows: Tensor, centers: Tensor, views: Tuple[Tensor, Tensor]) -> Dict[str, float]:
    """All scores of the clusters around (K, C) centres, by the names of ``SCORES``.

    The k-means loss, the mean squared distance to the nearest centre, falls with K, and with features that collapse:
    compare it at equal K and scale only.

    Args:
        rows: (N, C) features.
        views: two times (M, C) features of the same cells in two views.
    """
    clusters, squared = assign_rows(rows, centers)
    counts = torch.bincount(clusters, minlength=len(centers)).cpu().numpy()
    agreement = cluster_agreement(*(assign_rows(view, centers)[0].cpu().numpy() for view in views), len(centers))
    return dict(kmeans_loss=float(squared.mean()), balance=cluster_balance(counts),
                silhouette=silhouette(rows, clusters), **{f'view_{name}': value for name, value in agreement.items()})


def _chunks(rows: Tensor, n_columns: int) -> Sequence[Tensor]:
    """Rows of which so many columns of float64 fit into ``CHUNK_BYTES``."""
    return rows.split(max(1, CHUNK_BYTES // (8 * n_columns)))
