import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmseg_unsup.datasets.feature_store import StoredImages
from mmseg_unsup.functional.position import (cells_in_windows, complement, consistent_part, noise_images,
                                             position_cosines, position_r2, positional_directions, shifted_windows,
                                             window_step)
from mmseg_unsup.models.backbones import FrozenBackbone


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def with_coordinates(images: torch.Tensor, mixing: torch.Tensor) -> torch.Tensor:
    """A network that adds row and column to random projections of the pixels: (N, 3, 8 h, 8 w) -> (N, C, h, w)."""
    cells = F.avg_pool2d(images, 8)
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, cells.size(2)), torch.linspace(-1, 1, cells.size(3)),
                                   indexing='ij')
    parts = torch.cat([cells, rows.expand_as(cells[:, :1]), columns.expand_as(cells[:, :1])], 1)
    return torch.einsum('nchw,kc->nkhw', parts, mixing)


def test_cosines_are_those_of_the_definition_and_orthogonal():
    cosines = position_cosines(5, 7)
    assert list(cosines) == [(0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
    y, x = 3, 4
    expected = math.cos(math.pi * 2 * 3.5 / 5) * math.cos(math.pi * 1 * 4.5 / 7)
    assert float(cosines[2, 1].view(5, 7)[y, x]) == pytest.approx(expected, abs=1e-12)
    rows = torch.stack([*cosines.values()])
    gram = rows @ rows.t()
    torch.testing.assert_close(gram, torch.diag(gram.diagonal()), atol=1e-12, rtol=0)
    torch.testing.assert_close(rows.sum(1), torch.zeros(8, dtype=torch.double), atol=1e-12, rtol=0)


def test_r2_is_that_of_scikit_learn():
    from sklearn.linear_model import Ridge
    from sklearn.metrics import r2_score
    feats = torch.randn(2, 6, 4, 8, 9, generator=generator())
    feats[:, :, 0] += torch.linspace(-2, 2, 8)[:, None]
    rows = feats.permute(0, 1, 3, 4, 2).flatten(1, 3).double().numpy()
    found = position_r2(feats[0], feats[1], ridge=1e-3)
    alpha = 1e-3 * len(rows[0]) * rows[0].var(0).mean()
    for name, cosine in position_cosines(8, 9).items():
        target = np.tile(cosine.numpy(), 6)
        ridge = Ridge(alpha).fit(rows[0], target)
        assert found[name] == pytest.approx(r2_score(target, ridge.predict(rows[1])), abs=1e-9)
    assert found[1, 0] > 0.5 > 0.1 > abs(found[0, 1])
    with pytest.raises(ValueError, match=r'\(4, 8, 9\) and \(4, 8, 5\) are not of one grid'):
        position_r2(feats[0], feats[1, ..., :5])


def test_injected_coordinates_are_found_and_nothing_else_is_taken_out():
    """Of a network whose features hold row and column beside the pixels, exactly these two are taken out."""
    mixing = torch.linalg.qr(torch.randn(6, 5, generator=generator()))[0]
    maps = [with_coordinates(noise_images(64, 48, std), mixing) for std in (0., 0.3)]
    directions, strengths = positional_directions(maps[:1])
    assert strengths[1] > 0.3 > 1e-10 > strengths[2]
    projection = complement(directions[:2]).float()
    torch.testing.assert_close(projection @ projection, projection)
    torch.testing.assert_close(projection, projection.t())
    torch.testing.assert_close(projection @ mixing[:, 3:], torch.zeros(6, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(projection @ mixing[:, :3], mixing[:, :3], atol=1e-5, rtol=0)
    images = torch.randn(24, 3, 64, 48, generator=generator(1))
    feats = with_coordinates(images, mixing)
    without = torch.einsum('nchw,kc->nkhw', feats, projection)
    before, after = (position_r2(of[:12], of[12:]) for of in (feats, without))
    assert min(before[1, 0], before[0, 1]) > 0.98
    assert max(after.values()) < 0.02


def test_noise_is_the_same_for_the_same_seed():
    assert torch.equal(noise_images(9, 8, 0.3), noise_images(9, 8, 0.3))
    assert not torch.equal(noise_images(9, 8, 0.3), noise_images(9, 8, 0.3, seed=1))
    assert noise_images(9, 8, 0.).shape == (1, 3, 9, 8) and not noise_images(9, 8, 0.).any()
    assert float(noise_images(64, 64, 0.3).std()) == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize('height, width, step, move', [(160, 160, 32, 32), (160, 213, 32, 32), (322, 400, 14, 70)])
def test_windows_see_the_same_pixels(height, width, step, move):
    image = torch.arange(height * width).view(height, width)
    windows = shifted_windows(height, width, step)
    crops = [image[window.pixels] for window in windows]
    assert {(window.pixels[0].start, window.pixels[1].start) for window in windows} == {
        (0, 0), (0, move), (move, 0), (move, move)}
    assert len({crop.shape for crop in crops}) == 1 and not any(side % step for side in crops[0].shape)
    seen = [crop[window.shared] for crop, window in zip(crops, windows)]
    assert all(torch.equal(seen[0], other) for other in seen) and min(seen[0].shape) >= step


def test_the_windows_of_a_transformer_lie_whole_patches_apart():
    arch = dict(embed_dims=12, num_layers=1, num_heads=1, feedforward_channels=12, gated=False)
    network = dict(type='mmseg_unsup.DINOViT', family='dinov2', arch=arch)
    frozen = FrozenBackbone(network, keep_in_checkpoint=True)
    assert window_step(frozen) == window_step(frozen.network) == 14 and window_step(torch.nn.Conv2d(3, 4, 1)) == 32
    images = torch.arange(112. * 126).view(1, 1, 112, 126)
    seen = cells_in_windows(lambda crops: F.avg_pool2d(crops, 14), images, 14)
    cells = F.avg_pool2d(images, 14)[..., 2:-2, 2:-2]  # windows lie 28 px apart
    assert seen.shape == (1, 4, *cells.shape[1:]) and (seen == cells[:, None]).all()
    with pytest.raises(ValueError, match='needs pixels, of which a feature cache has only the features: leave one of'):
        cells_in_windows(F.relu, StoredImages(None, [[0, 0, 0, 0]]))


def test_images_too_small_for_the_windows():
    with pytest.raises(ValueError, match='images of 95x120 pixels are too small .* at least 96 pixels'):
        shifted_windows(120, 95)
    assert shifted_windows(96, 96)[0].shared == (slice(32, 64), slice(32, 64))


def test_what_changes_with_the_window_fades_by_its_share():
    """Of content plus an independent part that differs between windows, the best estimate of the content."""
    basis = torch.randn(5, 5, generator=generator(), dtype=torch.double)
    content, position = (basis * torch.tensor(variances) @ basis.t() for variances in (
        (4., 3., 2., 1., 0.), (0., 1., 2., 3., 4.)))
    found = consistent_part(position, content + position)
    torch.testing.assert_close(found, content @ torch.linalg.inv(content + position), atol=1e-8, rtol=0)
    shares = torch.linalg.eigvals(found).real.sort().values
    torch.testing.assert_close(shares, torch.tensor([0., 0.25, 0.5, 0.75, 1.], dtype=torch.double), atol=1e-8, rtol=0)
