"""The exact CRF and the guided filter against loops over pairs and windows."""
import numpy as np
import pytest
import torch

from mmseg_unsup.functional.crf import build_crf
from mmseg_unsup.functional.exact_crf import ExactCRF
from mmseg_unsup.functional.guided_upsampling import GuidedUpsampling
from ..conftest import smooth_image
from ..facts import facts

SETTINGS = dict(temperature=0.5, n_iter=3, smooth_xy=1.5, smooth_weight=2., edge_xy=4., edge_rgb=20., edge_weight=3.)


def slow_crf(image, scores, temperature, n_iter, smooth_xy, smooth_weight, edge_xy, edge_rgb, edge_weight):
    k, height, width = scores.shape
    cells = [(y, x) for y in range(height) for x in range(width)]
    pull = np.zeros((len(cells), ) * 2)
    for weight, xy, rgb in ((smooth_weight, smooth_xy, None), (edge_weight, edge_xy, edge_rgb)):
        kernel = np.zeros_like(pull)
        for i, a in enumerate(cells):
            for j, b in enumerate(cells):
                far = sum((p - q)**2 for p, q in zip(a, b)) / xy**2
                if rgb:
                    far += sum((float(p) - float(q))**2 for p, q in zip(image[a], image[b])) / rgb**2
                kernel[i, j] = np.exp(-far / 2)
        norm = 1 / np.sqrt(kernel.sum(1))
        pull += weight * norm[:, None] * kernel * norm

    def softmax(values):
        values = np.exp(values - values.max(1, keepdims=True))
        return values / values.sum(1, keepdims=True)

    start = np.stack([scores[(slice(None), *cell)] for cell in cells]) / temperature
    unary = np.log(softmax(start))
    found = softmax(start)
    for _ in range(n_iter):
        found = softmax(unary + pull @ found)
    return found.T.reshape(k, height, width)


def test_small_images_are_solved_exactly():
    rng = np.random.default_rng(0)
    image = np.ascontiguousarray(smooth_image(rng, 9, 11))
    scores = rng.standard_normal((4, 9, 11)).astype(np.float32)
    found = build_crf('exact', **SETTINGS)(image, scores)
    np.testing.assert_allclose(found, slow_crf(image, scores, **SETTINGS), atol=2e-6)
    assert np.abs(found - slow_crf(image, scores, **dict(SETTINGS, n_iter=2))).max() > 1e-3


def test_beside_the_lattice():
    """pydensecrf approximates the same sums: nearly all pixels of its result (stego_eval.npz) are alike."""
    arrays = facts('stego_eval')
    mean, std = (np.array(values)[:, None, None] for values in ([.485, .456, .406], [.229, .224, .225]))
    pixels = ((arrays['img'][0] * std + mean) * 255).clip(0, 255).astype(np.uint8)
    image = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    found = ExactCRF()(image, arrays['log_probs'][0]).argmax(0)
    before = arrays['log_probs'][0].argmax(0)
    assert (found == arrays['crf_pred']).mean() > 0.98 > (before == arrays['crf_pred']).mean()


def test_large_images_are_solved_on_cells_and_keep_their_edges():
    """A noisy half and half, whose border lies inside a cell: nearly every pixel is right afterwards, few before."""
    rng = np.random.default_rng(1)
    truth = np.zeros((60, 90), int)
    truth[:, 47:] = 1
    image = np.where(truth[..., None], np.uint8([200, 180, 40]), np.uint8([30, 60, 120])).astype(np.uint8)
    scores = np.stack([1 - truth, truth]) + 1.2 * rng.standard_normal((2, 60, 90))
    found = ExactCRF(0.3, max_cells=500)(image, scores.astype(np.float32))
    assert found.shape == scores.shape and found.dtype == np.float32
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)
    assert (scores.argmax(0) == truth).mean() < 0.8 and (found.argmax(0) == truth).mean() > 0.99


def slow_filter(image, scores, radius, epsilon):
    guide, (height, width) = image.astype(float) / 255, scores.shape
    slopes, offsets = np.zeros((height, width, 3)), np.zeros((height, width))

    def window(y, x):
        return slice(max(0, y - radius), y + radius + 1), slice(max(0, x - radius), x + radius + 1)

    for y in range(height):
        for x in range(width):
            colours, values = guide[window(y, x)].reshape(-1, 3), scores[window(y, x)].ravel()
            covariance = np.cov(colours.T, bias=True) + epsilon * np.eye(3)
            with_guide = ((colours - colours.mean(0)) * (values - values.mean())[:, None]).mean(0)
            slopes[y, x] = np.linalg.solve(covariance, with_guide)
            offsets[y, x] = values.mean() - slopes[y, x] @ colours.mean(0)
    return np.array([[slopes[window(y, x)].reshape(-1, 3).mean(0) @ guide[y, x] + offsets[window(y, x)].mean()
                      for x in range(width)] for y in range(height)])


def test_the_guided_filter_by_hand():
    rng = np.random.default_rng(2)
    image = np.ascontiguousarray(smooth_image(rng, 13, 17))
    scores = rng.standard_normal((2, 13, 17)).astype(np.float32)
    found = GuidedUpsampling(radius=3, epsilon=0.01)(image, torch.from_numpy(scores))
    for of_class, expected in zip(found, scores):
        np.testing.assert_allclose(of_class, slow_filter(image, expected, 3, 0.01), atol=1e-4)


def test_settings_that_cannot_be():
    with pytest.raises(ValueError, match="method='fast' of a CRF is not one of"):
        build_crf('fast')
    with pytest.raises(ValueError, match=r"method='lattice' does not take \{'max_cells': 9\}: .*argument 'max_cells'"):
        build_crf('lattice', max_cells=9)
    for name in ('temperature', 'n_iter', 'max_cells', 'filter_radius', 'filter_epsilon'):
        with pytest.raises(ValueError, match='must be'):
            ExactCRF(**{name: 0})
