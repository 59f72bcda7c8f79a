"""Refined maps at full size: the same in strips and tiles as in one piece, and on the edges of the image."""
import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmseg_unsup.functional import guided_upsampling
from mmseg_unsup.functional.crf import build_crf, refine_settings
from mmseg_unsup.functional.guided_upsampling import GuidedUpsampling, enlarged_rows
from mmseg_unsup.functional.refinement import Refinement
from ..conftest import smooth_image

SETTINGS = dict(method='exact', temperature=0.3, n_iter=3, edge_rgb=20., max_cells=200)


def half_and_half(height, width, border):
    """A photograph of two colours, and which pixels are of the second."""
    truth = np.zeros((height, width), int)
    truth[:, border:] = 1
    return np.where(truth[..., None], np.uint8([200, 180, 40]), np.uint8([30, 60, 120])).astype(np.uint8), truth


def test_strips_are_what_the_image_is_in_one_piece(monkeypatch):
    rng = np.random.default_rng(0)
    image = np.ascontiguousarray(smooth_image(rng, 83, 61))
    maps = torch.from_numpy(rng.standard_normal((5, 9, 7)).astype(np.float32))
    upsampling = GuidedUpsampling(max_pixels=600)
    whole, winner = upsampling(image, maps), upsampling.winner(image, maps)
    monkeypatch.setattr(guided_upsampling, '_STRIP_PIXELS', 11 * 61)
    monkeypatch.setattr(guided_upsampling, '_BLOCK', 2)
    assert torch.equal(upsampling(image, maps), whole) and torch.equal(upsampling.winner(image, maps), winner)
    assert torch.equal(winner.long(), whole.argmax(0)) and len(winner.unique()) == 5


def test_rows_are_those_of_the_enlarged_maps():
    maps = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(maps[None], (40, 31), mode='bilinear', align_corners=False)[0]
    for rows in (slice(0, 40), slice(0, 3), slice(17, 31), slice(39, 40)):
        torch.testing.assert_close(enlarged_rows(maps, rows, (40, 31)), expected[:, rows])


def test_cells_are_brought_to_the_pixels_of_a_large_image():
    """The border lies inside a cell of the grid, and of the CRF: every pixel beside it is right."""
    image, truth = half_and_half(600, 800, 413)
    refinement = Refinement(**SETTINGS, max_pixels=3000)
    grid = refinement.grid(image.shape[:2])
    assert grid == (47, 63)
    rng = np.random.default_rng(1)
    coarse = cv2.resize(truth.astype(np.float32), grid[::-1], interpolation=cv2.INTER_AREA)
    coarse = np.roll(coarse, 1, 1) + 0.5 * rng.standard_normal(grid)  # a cell beside the truth, and noisy
    scores = torch.from_numpy(np.stack([1 - coarse, coarse]).astype(np.float32))
    winner, best = refinement.winners(image, scores)
    assert winner.dtype == torch.int16 and (winner.numpy() == truth).mean() > 0.99
    before = F.interpolate(scores[None], truth.shape, mode='bilinear')[0].argmax(0).numpy()
    near = slice(405, 421)
    assert (winner.numpy() == truth)[:, near].mean() > 0.99 > 0.8 > (before == truth)[:, near].mean()
    for y, x in ((0, 0), (599, 799), (301, 412), (77, 500)):  # the score of the network's cell there
        assert best[y, x] == scores[winner[y, x], y * 47 // 600, x * 63 // 800]


def test_a_small_image_is_seen_pixel_by_pixel():
    rng = np.random.default_rng(2)
    image = np.ascontiguousarray(smooth_image(rng, 30, 40))
    scores = rng.standard_normal((4, 30, 40)).astype(np.float32)
    for max_cells in (200, 2000):
        crf = build_crf(**dict(SETTINGS, max_cells=max_cells))
        winner, best = Refinement(**dict(SETTINGS, max_cells=max_cells)).winners(image, torch.from_numpy(scores))
        expected = crf(image, scores).argmax(0)
        np.testing.assert_array_equal(winner, expected)
        np.testing.assert_array_equal(best, np.take_along_axis(scores, expected[None], 0)[0])


def test_scores_that_come_in_rows():
    refinement = Refinement('exact', max_pixels=1000)
    scores, ends = torch.randn(3, 70, 90, generator=torch.Generator().manual_seed(0)), [0, 1, 30, 31, 64, 70]
    rows = [slice(*pair) for pair in zip(ends, ends[1:])]
    found = refinement.gathered((70, 90), [(of_rows, scores[:, of_rows]) for of_rows in rows])
    height, width = refinement.grid((70, 90))
    assert found.shape == (3, height, width) and height * width <= 1000
    for y in range(height):
        for x in range(width):
            assert torch.equal(found[:, y, x], scores[:, int((y + 0.5) * 70 / height), int((x + 0.5) * 90 / width)])


def test_the_temperature_of_scores_without_a_scale():
    """0.6 standard deviations of the scores of a cell: the same map of scores that are all ten times as large."""
    rng = np.random.default_rng(4)
    image = np.ascontiguousarray(smooth_image(rng, 20, 24))
    scores = torch.from_numpy(rng.standard_normal((4, 20, 24)).astype(np.float32))
    settings = dict(SETTINGS, temperature=float(0.6 * scores.std(0).mean()))
    expected = Refinement(**settings).winners(image, scores)[0]
    for factor in (1, 10, 1e-4):
        found = Refinement(**dict(settings, temperature=None)).winners(image, factor * scores)[0]
        assert (found == expected).float().mean() > 0.995
    assert (Refinement(**dict(settings, temperature=2.)).winners(image, scores)[0] == expected).float().mean() < 0.9


@pytest.mark.parametrize('said, expected', [
    (None, None), (dict(method='none', max_cells=9), None),
    (dict(method='lattice'), dict(method='lattice', temperature=1)),
    (dict(temperature=0.2), dict(method='exact', temperature=0.2, max_cells=1600)),
    (dict(max_cells=9), dict(method='exact', temperature=1, max_cells=9))])
def test_what_a_config_says(said, expected):
    assert refine_settings(said, temperature=1) == expected


def test_what_a_config_cannot_say():
    with pytest.raises(TypeError, match="model.test_cfg.refine='exact' is no dict of settings: write dict"):
        refine_settings('exact')
    with pytest.raises(ValueError, match='max_pixels of a refinement must be'):
        Refinement(max_pixels=0)
