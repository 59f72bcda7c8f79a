import math

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from mmseg_unsup.evaluation.functional import (adjusted_rand_index, confusion_matrix, normalized_mutual_information,
                                               partition_scores)


@pytest.mark.parametrize('agreement', [0., 0.3, 0.8, 1.])
@pytest.mark.parametrize('n_classes, n_clusters', [(2, 2), (5, 9), (21, 4)])
def test_equals_scikit_learn(n_classes, n_clusters, agreement):
    rng = np.random.default_rng(n_classes)
    for size in (3, 50, 2000):
        labels = rng.integers(0, n_classes, size)
        renamed = rng.permutation(n_classes)[labels] % n_clusters
        clusters = np.where(rng.random(size) < agreement, renamed, rng.integers(0, n_clusters, size))
        confusion = confusion_matrix(labels, clusters, n_classes, n_clusters)
        assert adjusted_rand_index(confusion) == pytest.approx(adjusted_rand_score(labels, clusters), abs=1e-12)
        assert normalized_mutual_information(confusion) == pytest.approx(
            normalized_mutual_info_score(labels, clusters), abs=1e-10)


def test_by_hand():
    """Pixels 2 1 / 0 3: 15 unordered pairs, 1 + 3 of them together in both, 3 + 3 in class, 1 + 6 in cluster."""
    confusion = np.array([[2, 1], [0, 3]])
    expected = 6 * 7 / 15
    assert adjusted_rand_index(confusion) == pytest.approx((4 - expected) / ((6 + 7) / 2 - expected))
    entropies = math.log(2), -(1 / 3 * math.log(1 / 3) + 2 / 3 * math.log(2 / 3))
    information = 1 / 3 * math.log(2) + 1 / 6 * math.log(1 / 2) + 1 / 2 * math.log(3 / 2)
    assert normalized_mutual_information(confusion) == pytest.approx(information / (sum(entropies) / 2))


@pytest.mark.parametrize('score', [adjusted_rand_index, normalized_mutual_information])
def test_names_order_and_roles_do_not_matter(score):
    rng = np.random.default_rng(0)
    confusion = rng.integers(0, 100, (4, 6))
    shuffled = confusion[:, rng.permutation(6)][rng.permutation(4)]
    padded = np.pad(confusion, ((0, 2), (1, 3)))  # classes and clusters without a pixel
    for other in (shuffled, padded, confusion.T):
        assert score(other) == pytest.approx(score(confusion), abs=1e-12)
    assert score(np.diag(rng.integers(1, 100, 7))[:, rng.permutation(7)]) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize('confusion, ari, nmi', [
    ([[7]], 1, 1),  # one class, one cluster
    ([[0, 7], [0, 0]], 1, 1),
    ([[1]], 1, 1),  # a single pixel
    ([[1, 0], [0, 1]], 1, 1),  # a cluster for each pixel, a class for each pixel
    ([[4, 3]], 0, 0),  # one class, two clusters
    ([[4], [3]], 0, 0),
    ([[1, 1]], 0, 0),
    ([[2, 2], [2, 2]], -1 / 6, 0),  # less than by chance: a pixel is no pair with itself
    ([[0, 0]], float('nan'), float('nan')),  # nothing labelled
    (np.zeros((0, 3), int), float('nan'), float('nan')),
])
def test_degenerate_partitions(confusion, ari, nmi):
    assert adjusted_rand_index(np.array(confusion)) == pytest.approx(ari, nan_ok=True)
    assert normalized_mutual_information(np.array(confusion)) == pytest.approx(nmi, nan_ok=True, abs=1e-15)


def test_billions_of_pixels():
    """More pairs than 64 bits hold, and the same scores as of a millionth of the pixels."""
    small = np.array([[900, 20, 3], [0, 50, 700], [5, 40, 400]])
    large = small * 10**7
    assert large.sum() > 2 * 10**10
    assert normalized_mutual_information(large) == pytest.approx(normalized_mutual_information(small), rel=1e-12)
    exact = adjusted_rand_index(large)
    assert exact == pytest.approx(adjusted_rand_index(small), rel=1e-2)
    shares = large / large.sum()  # for so many pixels, pairs are products of shares
    both, rows, columns = (shares**2).sum(), (shares.sum(1)**2).sum(), (shares.sum(0)**2).sum()
    assert exact == pytest.approx((both - rows * columns) / ((rows + columns) / 2 - rows * columns), rel=1e-8)
    row_sums_overflow = np.array([[2**62, 2**62], [2**62, 0]])
    assert adjusted_rand_index(row_sums_overflow) == pytest.approx(
        adjusted_rand_index(np.array([[10**6, 10**6], [10**6, 0]])), abs=1e-5)
    assert normalized_mutual_information(row_sums_overflow) == pytest.approx(
        normalized_mutual_information(np.array([[1, 1], [1, 0]])))


def test_scores_are_percentages():
    confusion = np.array([[2, 1], [0, 3]])
    scores = partition_scores(confusion)
    assert scores == dict(ARI=100 * adjusted_rand_index(confusion), NMI=100 * normalized_mutual_information(confusion))
    assert all(type(score) is float for score in scores.values())
    assert all(math.isnan(score) for score in partition_scores(np.zeros((2, 2), int)).values())


@pytest.mark.parametrize('score', [adjusted_rand_index, normalized_mutual_information])
def test_counts_must_be_counts(score):
    with pytest.raises(ValueError, match='integers of at least 0, but it is float64'):
        score(np.ones((2, 2)))
    with pytest.raises(ValueError, match='but it is int64 down to -1'):
        score(np.array([[1, -1]]))
