"""torch and faiss give the same clusters, in any chunks, and faults of data and machine are named."""
import warnings
from unittest import mock

import numpy as np
import pytest
import torch

from mmseg_unsup.clustering import MiniBatchKMeans, backends
from mmseg_unsup.clustering.backends import FaissBackend, TorchBackend

pytest.importorskip('faiss')
BACKENDS = ['torch', 'faiss']


def unit_rows(n, c=32, seed=0):
    """Overlapping clusters on the unit sphere, where assignments are close calls."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(40, c))[rng.integers(40, size=n)] + rng.normal(size=(n, c))
    return torch.nn.functional.normalize(torch.from_numpy(rows.astype(np.float32)), dim=1)


def fit(rows, n_clusters, **kwargs):
    model = MiniBatchKMeans(n_clusters, **kwargs)
    model.init(rows, rows[:n_clusters][None])
    return model


@pytest.mark.parametrize('n_clusters', [11, 40, 150])
def test_backends_agree(n_clusters):
    rows = unit_rows(50_000)
    ours, theirs = (MiniBatchKMeans(n_clusters, backend=name, spherical=True, n_iter=1) for name in BACKENDS)
    centers = rows[:n_clusters]
    for _ in range(20):  # from common centres: a close call that rounding decides has no consequences
        ours.init(rows, centers[None])
        theirs.init(rows, centers[None])
        equal = (ours.predict(rows) == theirs.predict(rows)).double().mean()
        assert equal >= 0.9999
        assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-5)
        centers = ours.cluster_centers_


def test_fits_agree_where_there_are_clusters():
    rows = unit_rows(50_000)
    ours, theirs = (fit(rows, 11, backend=name, spherical=True) for name in BACKENDS)
    assert (ours.predict(rows) == theirs.predict(rows)).double().mean() >= 0.9999
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-5)


@pytest.mark.parametrize('backend', [TorchBackend, FaissBackend], ids=BACKENDS)
def test_assignment_to_several_sets_equals_a_slow_loop(backend):
    rows, sets = unit_rows(300), [unit_rows(7, seed=1) * 1.3, unit_rows(16, seed=2), unit_rows(33, seed=3)]
    for centers, (index, squared) in zip(sets, backend(sets).assign(rows, with_distance=True)):
        for row, k, distance in zip(rows.double(), index, squared):
            slow = (row - centers.double()).square().sum(1)
            assert slow[k] <= slow.min() + 1e-6
            assert float(distance) == pytest.approx(float(slow[k]), abs=1e-5)


def test_missing_faiss_names_the_extra(monkeypatch):
    monkeypatch.setattr(backends, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r'mmseg-unsup\[faiss\]'):
        MiniBatchKMeans(5, backend='faiss')
    with pytest.raises(ValueError, match="backend='numpy' is not one of"):
        MiniBatchKMeans(5, backend='numpy')


@pytest.mark.parametrize('backend', BACKENDS)
def test_chunks_do_not_matter(backend):
    rows = unit_rows(5_000)
    whole = fit(rows, 20, backend=backend)
    pieces = fit(rows, 20, backend=backend, chunk_bytes=1)  # the smallest chunk, 256 rows
    assert torch.equal(whole.cluster_centers_, pieces.cluster_centers_)
    assert torch.equal(whole.predict(rows), pieces.predict(rows))


@pytest.mark.parametrize('error', [torch.cuda.OutOfMemoryError('CUDA out of memory'),
                                   RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ...")])
def test_out_of_memory_goes_on_with_smaller_chunks(monkeypatch, error):
    rows = unit_rows(5_000)
    expected = fit(rows, 20, backend='torch')
    sizes, assign = [], TorchBackend.assign

    def hungry(self, rows, *args, **kwargs):
        sizes.append(len(rows))
        if len(rows) > 1200:
            raise error
        return assign(self, rows, *args, **kwargs)

    monkeypatch.setattr(TorchBackend, 'assign', hungry)
    with pytest.warns(UserWarning, match='out of memory with .* rows at a time') as record:
        model = fit(rows, 20, backend='torch', chunk_bytes=2000 * (4 * 20 + 12 * 32))
    assert len(record) == 1 and 256 <= max(sizes[1:]) <= 1200
    torch.testing.assert_close(model.cluster_centers_, expected.cluster_centers_, atol=1e-6, rtol=0)


def test_other_errors_are_not_swallowed(monkeypatch):
    monkeypatch.setattr(TorchBackend, 'assign', mock.Mock(side_effect=RuntimeError('something else')))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        with pytest.raises(RuntimeError, match='something else'):
            fit(unit_rows(5_000), 20, backend='torch')


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_features_that_are_not_finite(backend, value):
    rows = unit_rows(1_000)
    rows[7, 3] = rows[900, 1] = value
    with pytest.raises(ValueError, match='2 of 1000 feature vectors are not finite'):
        fit(rows, 20, backend=backend)
    model = fit(unit_rows(1_000), 20, backend=backend)
    model.accumulate(rows)
    with pytest.raises(ValueError, match='feature vectors are not finite, or too large for float32'):
        model.update()


@pytest.mark.parametrize('backend', BACKENDS)
def test_constant_features_and_duplicates(backend):
    constant = torch.ones(500, 8)
    model = fit(constant, 4, backend=backend)
    assert model.inertia_ < 1e-3 and model.cluster_centers_.isfinite().all() and model.counts_.sum() == 500
    doubled = unit_rows(30).repeat(20, 1)
    model = fit(doubled, 10, backend=backend)
    assert model.cluster_centers_.isfinite().all() and model.counts_.sum() == 600


def test_bfloat16_rows_have_float32_distances():
    rows = unit_rows(20_000)
    half = fit(rows.bfloat16(), 11, backend='torch')
    widened = fit(rows.bfloat16().float(), 11, backend='torch')
    assert torch.equal(half.predict(rows.bfloat16()), widened.predict(rows.bfloat16().float()))
    assert half.inertia_ == widened.inertia_


def test_sums_on_a_gpu_are_those_of_a_cpu():
    rows, index = unit_rows(2_000).double(), torch.randint(7, (2_000, ))
    by_product = backends._stats_by_product(rows, index, 9)
    torch.testing.assert_close(by_product, backends._stats_by_adding(rows, index, 9))
    assert by_product[3, -1] == (index == 3).sum() and not by_product[7:].any()


def test_starts_on_part_of_the_rows_end_where_all_rows_end():
    """Ten starts on an eighth of the rows, refined, come within 0.3 % of the inertia of ten starts on all."""
    rows = unit_rows(40_000)
    seeds = torch.stack([rows[i * 8:i * 8 + 8] for i in range(10)])
    whole, coarse = MiniBatchKMeans(8, n_init=10), MiniBatchKMeans(8, n_init=10)
    whole.init(rows, seeds)
    coarse.init(rows, seeds, coarse_rows=rows[::8])
    assert coarse.inertia_ <= whole.inertia_ * 1.003
    assert coarse.counts_.sum() == 40_000
