import numpy as np
import pytest
import torch

from mmseg_unsup.clustering import MiniBatchKMeans, StreamingKMeans
from mmseg_unsup.clustering.pca import StreamingPCA
from mmseg_unsup.clustering.seeding import PositionedRows, draw_plus_plus
from mmseg_unsup.utils import keyed_generator


def features(n=40, views=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, 6, 4, 5, generator=generator) for _ in range(views)]


def fit(feats, batch_size, n_clusters=3, **kwargs):
    n = len(feats[0])
    models = [MiniBatchKMeans(n_clusters, n_init=2) for _ in feats]
    stream = StreamingKMeans([[model] for model in models], n_images=n, **kwargs)
    for start in range(0, n, batch_size):
        positions = list(range(start, min(n, start + batch_size)))
        stream.add(positions, [feat[positions] for feat in feats])
    stream.finish()
    return models


@pytest.mark.parametrize('init_pixels', [None, 60])
def test_batches_do_not_matter(init_pixels):
    """Updates happen at image positions 12, 17, 22, ...: batches of any size give the same centres."""
    feats = features()
    kwargs = dict(init_images=12, update_images=5, init_pixels=init_pixels, seed=(3, 1))
    reference = fit(feats, 40, **kwargs)
    for batch_size in (1, 7, 12, 16):
        for ours, theirs in zip(fit(feats, batch_size, **kwargs), reference):
            torch.testing.assert_close(ours.cluster_centers_, theirs.cluster_centers_, atol=1e-6, rtol=0)
            assert torch.equal(ours.counts_, theirs.counts_)
            assert ours.n_steps_ == 1 + 6  # ceil((40 - 12) / 5)


def test_streaming_equals_a_plain_schedule():
    feats = features(views=1)
    model, = fit(feats, 40, init_images=10, update_images=15, seed=(0, ))
    rows = feats[0].permute(0, 2, 3, 1).reshape(40, 20, 6)
    plain = MiniBatchKMeans(3, n_init=2)
    stream = StreamingKMeans([[plain]], 40, 10, 15, seed=(0, ))
    sample = PositionedRows(range(10), rows[:10].flatten(0, 1), np.full(10, 20), torch.device('cpu'))
    seeds = stream._draw_seeds(sample, plain, (0, 0))
    for seed in seeds.flatten(0, 1):  # rows of the initial sample, all different
        assert (rows[:10].reshape(-1, 6) == seed).all(1).sum() == 1
    plain.init(rows[:10].reshape(-1, 6), seeds)
    plain.accumulate(rows[10:25].reshape(-1, 6))
    plain.update()
    plain.accumulate(rows[25:40].reshape(-1, 6))
    plain.update()
    torch.testing.assert_close(model.cluster_centers_, plain.cluster_centers_, atol=1e-6, rtol=0)


def test_plus_plus_seeding_equals_a_slow_draw():
    rows = [torch.randn(n, 4, generator=torch.Generator().manual_seed(n)) for n in (5, 3, 0, 7)]
    sample = PositionedRows([0, 1, 2, 3], torch.cat(rows), np.array([5, 3, 0, 7]), torch.device('cpu'))
    seeds = draw_plus_plus(sample, 4, keyed_generator(5))
    points, rng = torch.cat(rows).double().numpy(), keyed_generator(5)
    chosen = [points[rng.integers(15)]]
    while len(chosen) < 4:
        squared = np.min([((points - c)**2).sum(1) for c in chosen], 0)
        chosen.append(points[np.searchsorted(np.cumsum(squared), rng.random() * squared.sum(), side='right')])
    np.testing.assert_allclose(seeds, chosen, atol=1e-6)


def test_plus_plus_finds_small_far_clusters():
    """Eight clusters, the smallest 200 times smaller than the largest: uniform draws miss the small ones."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(8, 16)) * 10
    sizes = [2000, 1000, 500, 100, 40, 20, 10, 10]
    rows = torch.from_numpy(np.concatenate([c + rng.normal(size=(n, 16)) for c, n in zip(centers, sizes)])).float()
    found = dict()
    for init in ('k-means++', 'random'):
        model = MiniBatchKMeans(8, n_init=8, init=init)
        stream = StreamingKMeans([[model]], 1, 1, 1)
        stream.add([0], [rows.t()[None, :, :, None]])
        stream.finish()
        found[init] = model.inertia_
    assert found['k-means++'] == pytest.approx(16, rel=0.05) and found['random'] > 1.1 * found['k-means++']


def test_seeding_of_duplicates():
    model = MiniBatchKMeans(3)
    stream = StreamingKMeans([[model]], 2, 2, 1)
    stream.add([0, 1], [torch.ones(2, 4, 3, 3)])
    stream.finish()
    assert torch.isfinite(model.cluster_centers_).all()


def test_seed_and_epoch_are_different_keys():
    centers = [fit(features(views=1), 40, init_images=40, update_images=1, seed=seed)[0]._means
               for seed in ((0, 1), (1, 0), (0, 1))]
    assert not torch.equal(centers[0], centers[1])
    assert torch.equal(centers[0], centers[2])


def test_the_sample_stands_for_all_cells():
    model, = fit(features(views=1), 8, init_images=40, update_images=1, init_pixels=80)
    assert model.counts_.sum() == 40 * 20


def test_a_missing_image_changes_nothing_else():
    feats = features(views=1)
    models = [MiniBatchKMeans(3)]
    stream = StreamingKMeans([models], n_images=40, init_images=10, update_images=10)
    kept = [i for i in range(40) if i not in (4, 20)]
    stream.add(kept, [feats[0][kept]])
    stream.finish()
    assert models[0].counts_.sum() == 38 * 20


def test_fewer_cells_than_clusters():
    with pytest.raises(ValueError, match='20 feature cells cannot form 21 clusters: give more images'):
        fit([torch.randn(1, 6, 4, 5)], 1, n_clusters=21, init_images=5, update_images=5)


def test_pca_equals_numpy():
    """Projection of grouped, centred and scaled rows on the leading right singular vectors."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 9)) @ rng.normal(size=(9, 9)) + 3
    pca = StreamingPCA(9)
    for piece in np.array_split(rows, 7):
        pca.add(torch.from_numpy(piece.astype(np.float32)))
    weight, bias = pca.projection(4, group_sizes=(3, 6), group_weights=(0.5, 1.))
    out = rows @ weight.numpy().T + bias.numpy()

    centered = rows - rows.mean(0)
    scaled = np.hstack([
        w * centered[:, part] / np.sqrt((centered[:, part]**2).sum(1).mean())
        for part, w in ((slice(0, 3), 0.5), (slice(3, 9), 1.))
    ])
    expected = scaled @ np.linalg.svd(scaled, full_matrices=False)[2][:4].T
    expected /= np.sqrt((expected**2).sum(1).mean())
    np.testing.assert_allclose(np.abs(out), np.abs(expected), atol=1e-3)  # the sign of a component is free
    assert (out**2).sum(1).mean() == pytest.approx(1, abs=1e-4)
