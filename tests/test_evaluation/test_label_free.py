import math
from itertools import permutations

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score

from mmseg_unsup.analysis import label_free
from mmseg_unsup.analysis.label_free import (SCORES, assign_rows, cluster_agreement, cluster_balance, label_free_scores,
                                             silhouette)


def blobs(n_rows: int, n_channels: int, n_clusters: int, seed: int = 0):
    """(N, C) float32 rows around (K, C) centres."""
    rng = np.random.default_rng(seed)
    centers = 3 * rng.standard_normal((n_clusters, n_channels))
    rows = centers[rng.integers(n_clusters, size=n_rows)] + rng.standard_normal((n_rows, n_channels))
    return torch.from_numpy(rows).float(), torch.from_numpy(centers).float()


@pytest.mark.parametrize('chunk_bytes', [1, 2000, 2**25])
def test_loss_and_clusters_equal_a_slow_loop(chunk_bytes, monkeypatch):
    monkeypatch.setattr(label_free, 'CHUNK_BYTES', chunk_bytes)
    rows, centers = blobs(60, 5, 7)
    rows, centers = rows + 1000, centers + 1000  # far from the origin, where |x|^2 - 2 x.mu would lose digits
    squared = [[sum((float(x) - float(m))**2 for x, m in zip(row, center)) for center in centers] for row in rows]
    clusters, distances = assign_rows(rows, centers)
    assert clusters.tolist() == [int(np.argmin(of_row)) for of_row in squared]
    assert distances.numpy() == pytest.approx([min(of_row) for of_row in squared], rel=1e-9)
    scores = label_free_scores(rows, centers, (rows, rows))
    assert scores['kmeans_loss'] == pytest.approx(sum(map(min, squared)) / 60, rel=1e-9)


def test_balance():
    assert cluster_balance([5, 5, 5]) == pytest.approx(1)
    assert cluster_balance([9, 0, 0]) == 0 and math.copysign(1, cluster_balance([9, 0])) == 1
    counts = [1, 2, 5, 0]
    entropy = -sum(n / 8 * math.log(n / 8) for n in counts if n)
    assert cluster_balance(torch.tensor(counts)) == pytest.approx(entropy / math.log(4))
    assert math.isnan(cluster_balance([0, 0]))
    with pytest.raises(ValueError, match='there are 1: give the sizes of at least 2'):
        cluster_balance([3])


@pytest.mark.parametrize('noise', [0., 0.3, 1.])
def test_agreement_is_that_of_the_best_matching(noise):
    rng = np.random.default_rng(0)
    for k in (2, 3, 5):
        first = rng.integers(0, k, (6, 20))
        second = np.where(rng.random(first.shape) < noise, rng.integers(0, k, first.shape), rng.permutation(k)[first])
        scores = cluster_agreement(first, second, k)
        best = max(np.mean(np.array(names)[first] == second) for names in permutations(range(k)))
        assert scores['matched'] == pytest.approx(best)
        assert scores['ARI'] == pytest.approx(adjusted_rand_score(first.ravel(), second.ravel()))
        assert scores['NMI'] == pytest.approx(normalized_mutual_info_score(first.ravel(), second.ravel()))
        assert scores == pytest.approx(cluster_agreement(second, first, k))


def test_cluster_255_is_a_cluster():
    ids = np.arange(300)
    assert cluster_agreement(ids, ids[::-1], 300) == pytest.approx(dict(matched=1, ARI=1, NMI=1))
    assert cluster_agreement(np.full(4, 255), np.full(4, 255), 256)['matched'] == 1


def test_one_large_cluster_is_matched_but_tells_nothing():
    first, second = np.zeros(100, int), np.zeros(100, int)
    first[:2] = second[50:52] = 1
    scores = cluster_agreement(first, second, 2)
    assert scores['matched'] == pytest.approx(0.96) and abs(scores['ARI']) < 0.05 and scores['NMI'] < 0.05


def test_degenerate_agreement():
    assert all(math.isnan(value) for value in cluster_agreement(np.zeros(0, int), np.zeros(0, int), 3).values())
    with pytest.raises(ValueError, match='are not of the same cells: bring both views to one grid'):
        cluster_agreement(np.zeros(3, int), np.zeros(4, int), 2)
    with pytest.raises(ValueError, match='cluster id 2 is out of range'):
        cluster_agreement(np.zeros(3, int), np.full(3, 2), 2)


@pytest.mark.parametrize('chunk_bytes', [1, 5000, 2**25])
@pytest.mark.parametrize('n_rows, n_clusters', [(30, 2), (200, 5), (40, 30)])
def test_silhouette_equals_scikit_learn(n_rows, n_clusters, chunk_bytes, monkeypatch):
    monkeypatch.setattr(label_free, 'CHUNK_BYTES', chunk_bytes)
    rows, centers = blobs(n_rows, 6, n_clusters)
    clusters = 3 * assign_rows(rows, centers)[0]  # ids with gaps; single members among 30 clusters of 40 rows
    expected = silhouette_score(rows.double().numpy(), clusters.numpy())
    assert silhouette(rows, clusters) == pytest.approx(expected, abs=1e-6)


def test_silhouette_equals_a_slow_loop():
    rows, centers = blobs(25, 3, 4)
    clusters = assign_rows(rows, centers)[0].tolist()
    values = []
    for i, own in enumerate(clusters):
        by_cluster = {}
        for j, other in enumerate(clusters):
            if i != j:
                by_cluster.setdefault(other, []).append(math.dist(rows[i].tolist(), rows[j].tolist()))
        means = {k: sum(d) / len(d) for k, d in by_cluster.items()}
        inner, outer = means.pop(own, None), min(means.values())
        values.append(0. if inner is None else (outer - inner) / max(inner, outer))
    assert silhouette(rows, torch.tensor(clusters)) == pytest.approx(sum(values) / 25, abs=1e-6)


def test_silhouette_of_a_sample():
    rows, centers = blobs(3000, 4, 5)
    clusters = assign_rows(rows, centers)[0]
    sampled = silhouette(rows, clusters, max_rows=1000)
    assert sampled == silhouette(rows, clusters, max_rows=1000) != silhouette(rows, clusters, max_rows=1000, seed=1)
    assert sampled == pytest.approx(silhouette(rows, clusters, max_rows=None), abs=0.03)


def test_silhouette_of_degenerate_clusters():
    rows = torch.eye(3)
    assert math.isnan(silhouette(rows, torch.zeros(3, dtype=torch.long)))
    assert math.isnan(silhouette(rows[:0], torch.zeros(0, dtype=torch.long)))
    assert silhouette(rows, torch.arange(3)) == 0
    assert silhouette(torch.ones(4, 2), torch.tensor([0, 0, 1, 1])) == 0  # all rows in one place


def test_all_scores_together():
    rows, centers = blobs(400, 5, 4)
    views = rows[:100], rows[:100] + 0.5
    scores = label_free_scores(rows, centers, views)
    clusters, squared = assign_rows(rows, centers)
    assert list(scores) == list(SCORES)
    assert scores['kmeans_loss'] == float(squared.mean())
    assert scores['balance'] == cluster_balance(clusters.bincount(minlength=4))
    assert scores['silhouette'] == silhouette(rows, clusters)
    first, second = (assign_rows(view, centers)[0].numpy() for view in views)
    assert scores['view_NMI'] == cluster_agreement(first, second, 4)['NMI']
