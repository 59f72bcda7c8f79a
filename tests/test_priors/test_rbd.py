"""Robust background detection on drawn pictures, a slow calculation, and real images."""
import os
import os.path as osp

import cv2
import numpy as np
import pytest
from scipy.optimize import minimize
from skimage.color import rgb2lab

from mmseg_unsup.priors import RBDPrior
from mmseg_unsup.priors.grabcut import grabcut, refine_by_grabcut
from mmseg_unsup.priors.rbd import _shortest_paths, background_probability, optimize
from mmseg_unsup.priors.superpixels import Superpixels, find_superpixels
from ..conftest import shared_file


def disc_picture(height=90, width=120, noise=4):
    """A bright disc on a plain ground, and its mask."""
    mask = np.zeros((height, width), np.uint8)
    cv2.circle(mask, (width // 2 + 8, height // 2 - 4), height // 4, 1, -1)
    rng = np.random.default_rng(0)
    picture = np.where(mask[..., None], (230, 200, 60), (60, 90, 70)) + rng.normal(0, noise, (height, width, 3))
    return picture.clip(0, 255).round().astype(np.uint8), mask > 0


def iou(mask, truth):
    return (mask & truth).sum() / (mask | truth).sum()


@pytest.mark.parametrize('options', [dict(), dict(refine=None), dict(n_superpixels=150), dict(max_side=80)])
def test_a_disc_is_found(options):
    image, truth = disc_picture()
    prior = RBDPrior(**options)
    saliency, mask = prior.saliency(image), prior(image)
    assert saliency.dtype == np.float32 and saliency.shape == truth.shape
    assert 0 <= saliency.min() and saliency.max() <= 1
    assert set(np.unique(mask)) == {0, 255} and iou(mask > 0, truth) > 0.9
    np.testing.assert_array_equal(prior(image), mask)
    np.testing.assert_array_equal(RBDPrior(**options).saliency(image), saliency)


def test_earlier_images_and_random_numbers_do_not_matter():
    image, _ = disc_picture()
    prior = RBDPrior()
    first = prior.saliency(image)
    prior.saliency(image[::-1].copy())
    cv2.setRNGSeed(7)
    np.random.seed(7)
    np.testing.assert_array_equal(prior.saliency(image), first)


@pytest.mark.parametrize('shape', [(1, 1), (2, 60), (40, 3), (64, 64)])
def test_a_plain_image_has_no_mask(shape):
    image = np.full((*shape, 3), 120, np.uint8)
    assert not RBDPrior()(image).any()
    assert np.isfinite(RBDPrior().saliency(image)).all()


def test_the_map_of_several_numbers_is_the_mean():
    image, _ = disc_picture()
    maps = [RBDPrior(n_superpixels=n, refine=None).saliency(image) for n in (60, 120)]
    np.testing.assert_allclose(
        RBDPrior(n_superpixels=(60, 120), refine=None).saliency(image), np.mean(maps, 0), atol=1e-6)


def row_of_five():
    """Superpixels in a row, the outer two on the border; one colour channel."""
    neighbors = np.eye(5, k=1, dtype=bool) | np.eye(5, k=-1, dtype=bool)
    colors = np.array([[10., 0, 0], [12, 0, 0], [40, 0, 0], [43, 0, 0], [11, 0, 0]])
    border = np.array([True, False, False, False, True])
    return Superpixels(np.arange(5)[None], colors, np.zeros((5, 2)), neighbors, border)


@pytest.mark.parametrize('share', [0, 0.02, 0.1, 1])
def test_paths_by_dijkstra(share):
    """Of superpixels, by which ``share`` of the steps that there are cost nothing."""
    rng = np.random.default_rng(0)
    steps = np.where(rng.random((40, 40)) < 0.1, rng.random((40, 40)) * (rng.random((40, 40)) >= share), np.inf)
    steps = np.minimum(steps, steps.T)
    lengths, nodes = _shortest_paths(steps)
    slow = np.full((40, 40), np.inf)
    for start in range(40):
        slow[start, start], waiting = 0, set(range(40))
        while waiting:
            here = min(waiting, key=lambda i: slow[start, i])
            waiting.remove(here)
            slow[start] = np.minimum(slow[start], slow[start, here] + steps[here])
    np.testing.assert_allclose(lengths[nodes][:, nodes], slow, rtol=1e-12)
    assert (lengths[~np.eye(len(lengths), dtype=bool)] > 0).all()  # no two nodes that are one


def test_background_by_hand():
    superpixels = row_of_five()
    differences = np.abs(superpixels.colors[:, :1] - superpixels.colors[:, 0])
    clip = np.mean([2, 2, 3, 3, 32])
    edges = {(0, 1): 2, (1, 2): 28, (2, 3): 3, (3, 4): 32, (0, 4): 1}
    distances = np.where(np.eye(5), 0, np.inf)
    for (i, j), step in edges.items():
        distances[i, j] = distances[j, i] = max(step - clip, 0)
    for k in range(5):  # Floyd-Warshall
        distances = np.minimum(distances, distances[:, k:k + 1] + distances[k:k + 1])
    shares = np.exp(-distances**2 / (2 * 5.**2))
    connectivity = shares[:, [0, 4]].sum(1) / np.sqrt(shares.sum(1))
    expected = 1 - np.exp(-connectivity**2 / (2 * 0.7**2))
    np.testing.assert_allclose(background_probability(superpixels, differences, 5., 0.7), expected, rtol=1e-6)
    assert expected[2] < 0.5 < expected[0]


def test_optimize_minimises_the_energy():
    rng = np.random.default_rng(0)
    background, foreground, weights = rng.random(6), rng.random(6), rng.random((6, 6))
    weights = np.triu(weights, 1) + np.triu(weights, 1).T

    def energy(s):
        pairs = weights * (s[:, None] - s)**2
        return (background * s**2).sum() + (foreground * (s - 1)**2).sum() + pairs.sum() / 2

    slow = minimize(energy, np.zeros(6), tol=1e-12).x
    np.testing.assert_allclose(optimize(background, foreground, weights), slow, atol=1e-5)


def test_superpixels_by_their_pixels():
    image, _ = disc_picture()
    found = find_superpixels(rgb2lab(image), 60, 20.)
    ids, n = found.ids, found.ids.max() + 1
    assert 30 < n < 90 and set(np.unique(ids)) == set(range(n))
    for s in (0, n // 2, n - 1):
        ys, xs = np.nonzero(ids == s)
        np.testing.assert_allclose(found.positions[s], [ys.mean() / 120, xs.mean() / 120])
        grown = cv2.dilate((ids == s).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        assert set(np.nonzero(found.neighbors[s])[0]) == set(np.unique(ids[grown])) - {s}
        assert found.on_border[s] == (ys.min() == 0 or xs.min() == 0 or ys.max() == 89 or xs.max() == 119)


def test_grabcut_sharpens_a_coarse_map():
    image, truth = disc_picture()
    coarse = cv2.GaussianBlur(truth.astype(np.float32), (0, 0), 12)
    assert iou(grabcut(image, coarse) > 0, truth) > 0.97 > iou(coarse > 0.5, truth)
    refined = refine_by_grabcut(image, coarse, 200)
    np.testing.assert_allclose(refined, (coarse + grabcut(image, coarse)) / 2)
    constant = np.zeros_like(coarse)
    np.testing.assert_array_equal(grabcut(image, constant), constant)


@pytest.mark.parametrize('options, message', [
    (dict(refine='crf'), "refine='crf' of RBDPrior"),
    (dict(refine_side=0), 'refine_side=0'),
    (dict(n_superpixels=()), 'n_superpixels'),
    (dict(n_superpixels=1), 'n_superpixels=1'),
    (dict(geodesic_sigma=0), 'geodesic_sigma=0 of RBDPrior must be positive'),
])
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        RBDPrior(**options)


def test_on_real_images():
    """The mean over the first ten of ECSSD is 0.77."""
    images, scores = shared_file('data', 'ecssd', 'images', 'dev'), []
    names = sorted(os.listdir(images))[:10]
    for name in names:
        label = cv2.imread(osp.join(shared_file('data', 'ecssd', 'labels', 'dev'), name.replace('.jpg', '.png')), 0)
        mask = RBDPrior()(np.ascontiguousarray(cv2.imread(osp.join(images, name))[..., ::-1]))
        scores.append(iou(mask > 0, label > 0))
    assert np.mean(scores) > 0.7
