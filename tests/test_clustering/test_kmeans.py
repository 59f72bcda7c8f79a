import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from mmseg_unsup.clustering import MiniBatchKMeans, cluster_weights
from mmseg_unsup.clustering.backends import TorchBackend
from mmseg_unsup.clustering.lloyd import split_largest


def blobs(n=400, k=5, c=8, seed=0, spread=3):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(k, c)) * spread
    return torch.from_numpy((centers[rng.integers(k, size=n)] + rng.normal(size=(n, c))).astype(np.float32))


def slow_assign(rows, centers):
    return np.array([np.argmin([np.sum((row - center)**2) for center in centers]) for row in rows])


def test_lloyd_equals_scikit_learn():
    rows = blobs()
    seeds = rows[:5]
    ours = MiniBatchKMeans(5, n_iter=100)
    ours.init(rows, seeds[None])
    theirs = KMeans(5, init=seeds.numpy(), n_init=1, max_iter=100, tol=0).fit(rows.numpy().astype(np.float64))
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, atol=1e-5)
    np.testing.assert_array_equal(ours.predict(rows), theirs.labels_)
    assert ours.inertia_ == pytest.approx(theirs.inertia_ / len(rows), rel=1e-6)


def slow_lloyd(rows, means, n_iter):
    """Sums of all members in every iteration; the means after each."""
    history = []
    for _ in range(n_iter):
        labels = slow_assign(rows, means.astype(np.float32))
        means = np.stack([rows[labels == k].astype(np.float64).mean(0) for k in range(len(means))])
        history.append(means)
    return history


@pytest.mark.parametrize('n_iter', [1, 2, 4, 40])
def test_rows_that_move_are_all_that_changes_the_sums(n_iter, monkeypatch):
    """Every iteration equals one that adds up all members, and the last is the one after which nothing moves."""
    rows, calls, assign = blobs(spread=1), [], TorchBackend.assign
    monkeypatch.setattr(TorchBackend, 'assign', lambda *args, **kwargs: calls.append(1) or assign(*args, **kwargs))
    model = MiniBatchKMeans(5, n_iter=n_iter)
    model.init(rows, rows[None, :5])
    history = slow_lloyd(rows.numpy(), rows[:5].numpy().astype(np.float64), 40)
    np.testing.assert_allclose(model._means, history[n_iter - 1], atol=1e-12)
    n_moves = next(i for i in range(1, 40) if np.array_equal(history[i], history[i - 1]))
    assert 4 < n_moves < 39 and len(calls) == min(n_iter, n_moves + 1)


def test_the_best_of_several_starts_is_kept():
    rows = blobs()
    starts = torch.stack([rows[i * 5:i * 5 + 5] for i in range(6)])
    single = []
    for start in starts:
        model = MiniBatchKMeans(5)
        model.init(rows, start[None])
        single.append(model.inertia_)
    best = MiniBatchKMeans(5, n_init=6)
    best.init(rows, starts)
    assert best.inertia_ == min(single) < max(single)


@pytest.mark.parametrize('spherical', [False, True])
def test_streaming_is_a_running_mean(spherical):
    """Against a slow loop over rows; counts_ persist over steps and empty clusters stay where they are."""
    rows = torch.nn.functional.normalize(blobs(600), dim=1)
    far = torch.full((1, 8), 50.)  # attracts no row
    model = MiniBatchKMeans(5, n_iter=1, spherical=spherical)
    model.init(rows[:200], torch.cat([rows[:4], far])[None])
    means, counts = model._means.numpy().copy(), model.counts_.numpy().copy()
    inertias = [model.inertia_]
    for start in range(200, 600, 100):
        piece = rows[start:start + 100].numpy().astype(np.float64)
        centers = means / np.linalg.norm(means, axis=1, keepdims=True) if spherical else means
        labels = slow_assign(piece, centers.astype(np.float32))
        inertias.append(np.mean([np.sum((x - centers[k])**2) for x, k in zip(piece, labels)]))
        for k in range(5):
            for x in piece[labels == k]:
                counts[k] += 1
                means[k] += (x - means[k]) / counts[k]
        model.accumulate(rows[start:start + 100])
        model.update()
    expected = means / np.linalg.norm(means, axis=1, keepdims=True) if spherical else means
    np.testing.assert_allclose(model.cluster_centers_, expected, atol=1e-5)
    np.testing.assert_array_equal(model.counts_, counts)
    assert model.inertia_ == pytest.approx(np.mean(inertias), rel=1e-5)
    assert model.n_steps_ == 5


def test_pieces_of_one_update_may_be_split():
    rows = blobs(1000)
    whole, pieces = MiniBatchKMeans(5), MiniBatchKMeans(5)
    for model in (whole, pieces):
        model.init(rows[:300], rows[None, :5])
    whole.accumulate(rows[300:])
    whole.update()
    for start in range(300, 1000, 7):
        pieces.accumulate(rows[start:start + 7])
    pieces.update()
    torch.testing.assert_close(whole.cluster_centers_, pieces.cluster_centers_, atol=1e-6, rtol=0)
    assert torch.equal(whole.counts_, pieces.counts_)


def test_a_sample_weighs_as_what_it_was_drawn_from():
    rows = blobs()
    sampled, whole = MiniBatchKMeans(5), MiniBatchKMeans(5)
    sampled.init(rows, rows[None, :5], row_weight=3.)
    whole.init(rows.repeat(3, 1), rows[None, :5])
    torch.testing.assert_close(sampled.counts_, whole.counts_)


def test_empty_clusters_are_reseeded_from_the_largest():
    rows = blobs(200, k=3)
    model = MiniBatchKMeans(4, n_iter=30)
    model.init(rows, torch.cat([rows[:3], torch.full((1, 8), 99.)])[None])
    assert model.n_splits_ >= 1
    assert (model.counts_ > 0).all()
    centers, n_splits = split_largest(torch.ones(4, 2), torch.tensor([0, 3., 0, 0]))  # one point cannot be halved
    assert n_splits == 1 and centers[2].tolist() == centers[3].tolist() == [1, 1]


def test_duplicate_points_do_not_crash():
    rows = torch.ones(50, 4)
    model = MiniBatchKMeans(3, spherical=True)
    model.init(rows, rows[None, :3])
    assert torch.isfinite(model.cluster_centers_).all()
    assert model.counts_.sum() == 50


@pytest.mark.parametrize('kwargs, message', [(dict(n_clusters=0), 'n_clusters must be at least 1, but it is 0'),
                                             (dict(n_clusters=3, n_iter=0), 'n_iter must be at least 1')])
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        MiniBatchKMeans(**kwargs)


def test_features_that_are_not_finite_are_refused():
    rows = blobs()
    rows[7, 3] = float('nan')
    with pytest.raises(ValueError, match='1 of 400 feature vectors are not finite'):
        MiniBatchKMeans(5).init(rows, rows[None, :5])


def test_weights_by_hand():
    counts = torch.tensor([60., 30., 10., 0.])
    torch.testing.assert_close(cluster_weights(counts, 'frequency'), torch.tensor([1.8, 0.9, 0.3, 0.]))
    inverse = torch.tensor([1 / 60, 1 / 30, 1 / 10, 0])
    torch.testing.assert_close(cluster_weights(counts, 'inverse'), inverse / inverse.sum() * 3)
    torch.testing.assert_close(cluster_weights(counts, None), torch.tensor([1., 1., 1., 0.]))
    with pytest.raises(ValueError, match="'sqrt' is not one of"):
        cluster_weights(counts, 'sqrt')
