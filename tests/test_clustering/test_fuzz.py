"""k-means on whatever features and settings there may be: a fit that is one, or a sentence that says why not."""
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg_unsup.clustering import MiniBatchKMeans, StreamingKMeans, cluster_weights

SCALES = dict(usual=1., tiny=1e-15, large=1e15)
FIT = dict(
    n_iter=st.integers(1, 3), n_init=st.integers(1, 2), spherical=st.booleans(),
    init=st.sampled_from(['random', 'k-means++']), coarse=st.integers(1, 3), n_refine=st.integers(1, 2),
    chunk_bytes=st.sampled_from([None, 1]))
STREAM = dict(init_images=st.integers(1, 8), update_images=st.integers(1, 3),
              init_pixels=st.none() | st.integers(1, 20))


@st.composite
def features(draw):
    """(N, C, h, w): spread out, with many equal cells, or all the same."""
    shape = [draw(st.integers(1, limit)) for limit in (6, 4, 3, 3)]
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**20)))
    kind = draw(st.sampled_from(['spread', 'duplicates', 'constant']))
    feats = torch.randn(shape, generator=generator)
    if kind == 'duplicates':
        feats = feats.sign()
    elif kind == 'constant':
        feats = torch.full(shape, draw(st.sampled_from([0., 1.])))
    return feats * SCALES[draw(st.sampled_from(sorted(SCALES)))]


def fit(feats, n_clusters, batch_size, options, **stream_options):
    model = MiniBatchKMeans(n_clusters, backend='torch', **options)
    stream = StreamingKMeans([[model]], n_images=len(feats), **stream_options)
    for start in range(0, len(feats), batch_size):
        part = feats[start:start + batch_size]
        stream.add(range(start, start + len(part)), [part])
    stream.finish()
    return model


@given(features(), st.integers(1, 6), st.integers(1, 4), st.fixed_dictionaries(FIT), st.fixed_dictionaries(STREAM))
def test_any_features_and_settings(feats, n_clusters, batch_size, options, stream_options):
    """Every cell counts once, all numbers are finite, and a prediction is the nearest centre."""
    n_init = min(stream_options['init_images'], len(feats))
    per_image = feats[0, 0].numel()
    if stream_options['init_pixels'] is not None:
        per_image = min(per_image, max(1, stream_options['init_pixels'] // n_init))
    if n_init * per_image < n_clusters:
        with pytest.raises(ValueError, match=f'{n_init * per_image} feature cells cannot form {n_clusters} clusters'):
            fit(feats, n_clusters, batch_size, options, **stream_options)
        return
    model = fit(feats, n_clusters, batch_size, options, **stream_options)
    rows = feats.permute(0, 2, 3, 1).flatten(0, 2)
    centers = model.cluster_centers_
    assert centers.shape == (n_clusters, feats.size(1)) and centers.isfinite().all()
    assert (model.counts_ >= 0).all() and float(model.counts_.sum()) == pytest.approx(len(rows))
    assert 0 <= model.inertia_ < float('inf')
    if options['spherical']:
        has_direction = model._means.norm(dim=1) > 1e-12
        assert (centers.norm(dim=1)[has_direction] - 1).abs().le(1e-5).all()
    nearest = model.predict(rows)
    assert nearest.dtype == torch.int64 and nearest.shape == (len(rows), )
    distances = np.linalg.norm(rows.numpy()[:, None].astype(float) - centers.numpy()[None].astype(float), axis=2)
    size = np.abs(distances).max() + np.abs(rows.numpy()).max()
    chosen = distances[np.arange(len(rows)), nearest.numpy()]
    assert (chosen**2 <= distances.min(1)**2 + 1e-5 * size**2).all()
    weights = cluster_weights(model.counts_, 'inverse')
    assert weights.isfinite().all() and ((weights > 0) == (model.counts_ > 0)).all()


@given(features(), st.integers(1, 3), st.sampled_from([float('nan'), float('inf'), -float('inf'), 1e25]),
       st.integers(0, 2**20), st.fixed_dictionaries(FIT))
@settings(max_examples=50)
def test_features_that_are_no_numbers(feats, n_clusters, value, place, options):
    """One is enough, wherever it lies; so is one whose square float32 cannot hold."""
    feats = feats.clone()
    feats.view(-1)[place % feats.numel()] = value
    if n_clusters > feats[:, 0].numel():
        return
    with pytest.raises(ValueError, match='1 of .* feature vectors are not finite|feature vectors are (not finite, or '
                       ')?too large'):
        fit(feats, n_clusters, 2, dict(options, spherical=True), init_images=3, update_images=1)


@given(st.sampled_from(['n_clusters', 'n_iter', 'n_init', 'coarse', 'n_refine']),
       st.integers(-5, 0) | st.floats() | st.none() | st.text(max_size=3) | st.booleans())
def test_counts_that_are_none(name, value):
    with pytest.raises(ValueError, match=f'{name} must be at least 1'):
        MiniBatchKMeans(**{'n_clusters': 3, name: value})
