"""Normalised cuts against arrays of the official code, a generalised solver, and all splits tried one by one."""
import numpy as np
import pytest
from scipy.linalg import eigh

from mmseg_unsup.functional import binary_affinity, cut_vector, recursive_cut, soft_affinity, token_cut
from mmseg_unsup.functional.normalized_cut import cut_values
from ..facts import facts


def scene(truth, noise, seed=0):
    """(h, w) ids -> features (16, h, w): a direction an id, and noise."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(truth.max() + 1, 16))
    return (means[truth] + noise * rng.normal(size=(*truth.shape, 16))).transpose(2, 0, 1).astype(np.float32)


def boxes(height=9, width=14):
    """Ground, an object of 20 cells and one of 12."""
    truth = np.zeros((height, width), int)
    truth[2:6, 1:6], truth[4:8, 9:12] = 1, 2
    return truth


def test_token_cut_gives_what_the_official_code_gives():
    arrays = facts('ncut')
    feats = arrays['feats'][0, 1:].T.reshape(16, 8, 10)  # without the class token
    found, expected = token_cut(feats, 0.2), arrays['tokencut_eigenvector']
    np.testing.assert_allclose(found.vector, expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found.mask, arrays['tokencut_mask'] > 0)
    rows, columns = np.nonzero(found.mask)
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) * 16
    np.testing.assert_array_equal(box, arrays['tokencut_box'])
    # 15 cells have the same value but for rounding, which chooses there; here it is the first of them
    ties = np.flatnonzero(np.isclose(np.abs(expected.ravel()), np.abs(expected).max(), rtol=1e-12, atol=0))
    assert arrays['tokencut_seed'] in ties and len(ties) == 15 and found.seed == divmod(int(ties[0]), 10)


@pytest.mark.parametrize('affinity', [lambda f: binary_affinity(f, 0.1), lambda f: soft_affinity(f, 3.)])
def test_the_vector_equals_that_of_the_generalised_problem(affinity):
    weights = affinity(scene(boxes(), 0.8))
    degrees = np.diag(weights.sum(1))
    values, vectors = eigh(degrees - weights, degrees)
    assert values[0] == pytest.approx(0, abs=1e-9) and values[2] - values[1] > 1e-4  # the second one is unique
    expected = vectors[:, 1] * np.sign(vectors[np.abs(vectors[:, 1]).argmax(), 1])
    np.testing.assert_allclose(cut_vector(weights), expected, atol=1e-9)


def test_affinities_by_hand():
    feats = np.array([[[3., 0, -1]], [[0, 2, 0]]])  # cosines: 0 of the first two, -1 and 0 of the third
    np.testing.assert_array_equal(binary_affinity(feats, -0.5), [[1, 1, 1e-5], [1, 1, 1], [1e-5, 1, 1]])
    np.testing.assert_allclose(soft_affinity(feats, 2.), [[1, 0.25, 1e-5], [0.25, 1, 0.25], [1e-5, 0.25, 1]])


def test_the_part_without_the_seed_is_left_out():
    truth = np.zeros((6, 12), int)
    truth[1:4, 1:5], truth[4, 9] = 1, 1
    cut = token_cut(scene(truth, 0.), 0.5)
    np.testing.assert_array_equal(cut.side, truth == 1)
    np.testing.assert_array_equal(cut.mask[:4], truth[:4] == 1)
    assert not cut.mask[4:].any() and cut.seed == (1, 1)


def test_values_of_cuts_by_hand():
    weights = soft_affinity(scene(boxes(), 0.8)[:, :4, :5], 2.)
    order = np.random.default_rng(0).permutation(len(weights))
    degrees = weights.sum(1)
    sides = [(order[:k], order[k:]) for k in range(1, len(order))]
    expected = [weights[np.ix_(a, b)].sum() * (1 / degrees[a].sum() + 1 / degrees[b].sum()) for a, b in sides]
    np.testing.assert_allclose(cut_values(weights, order), expected, rtol=1e-9)


def test_objects_are_found_and_limits_hold():
    truth = boxes()
    weights = soft_affinity(scene(truth, 0.2), 8.)
    np.testing.assert_array_equal(recursive_cut(weights, 0.3, 2, 8).reshape(truth.shape), truth)  # the largest first
    limits = (0., 2, 8), (0.3, 2, 2), (2.1, 2, 5), (0.3, 70, 8)
    counts = [recursive_cut(weights, *of_one).max() + 1 for of_one in limits]
    assert counts == [1, 2, 5, 1]
    assert np.bincount(recursive_cut(weights, 2.1, 9, 100)).min() >= 9


def test_what_cannot_be_cut():
    with pytest.raises(ValueError, match=r'features \(C, h, w\) of at least 2 cells, but got \(4, 1, 1\): enlarge'):
        token_cut(np.ones((4, 1, 1)))
    with pytest.raises(ValueError, match='hold values that are no finite numbers'):
        token_cut(np.full((4, 2, 2), np.nan))
    for even in (np.ones((4, 3, 3)), np.zeros((4, 3, 3))):  # nothing tells cells apart
        assert not token_cut(even).vector.any() and not token_cut(even).mask.any()
        assert not recursive_cut(soft_affinity(even, 2.), 2., 1, 4).any()
