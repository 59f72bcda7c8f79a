import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.dataset import Compose

from mmseg_unsup.functional import warp
from mmseg_unsup.utils import keyed_global_rng


def slow_sample(feat, box, flip, h, w):
    """Bilinear look-up cell by cell; cell centres at (j + 0.5) / w of the frame."""
    c, height, width = feat.shape
    out = np.zeros((c, h, w))
    for i in range(h):
        for j in range(w):
            u = (w - 1 - j if flip else j) + 0.5
            x = (box[0] + u / w * (box[2] - box[0])) * width - 0.5
            y = (box[1] + (i + 0.5) / h * (box[3] - box[1])) * height - 0.5
            x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
            x0, y0 = int(x), int(y)
            x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
            dx, dy = x - x0, y - y0
            out[:, i, j] = ((1 - dy) * ((1 - dx) * feat[:, y0, x0] + dx * feat[:, y0, x1]) + dy *
                            ((1 - dx) * feat[:, y1, x0] + dx * feat[:, y1, x1]))
    return out


def test_equals_a_slow_look_up():
    generator = torch.Generator().manual_seed(0)
    feats = torch.randn(3, 4, 10, 10, generator=generator)
    boxes = torch.tensor([[0., 0., 1., 1.], [0.1, 0.3, 0.65, 0.85], [0.42, 0.05, 0.95, 0.58]])
    flips = torch.tensor([False, True, False])
    out = warp(feats, boxes, flips)
    for n in range(3):
        expected = slow_sample(feats[n].numpy(), boxes[n].tolist(), bool(flips[n]), 10, 10)
        np.testing.assert_allclose(out[n], expected, atol=1e-5)


def test_identity_and_flip_are_exact():
    feats = torch.randn(2, 3, 8, 8)
    full = torch.tensor([[0., 0., 1., 1.]] * 2)
    torch.testing.assert_close(warp(feats, full, torch.tensor([False, False])), feats, atol=1e-5, rtol=0)
    torch.testing.assert_close(warp(feats, full, torch.tensor([True, True])), feats.flip(3), atol=1e-5, rtol=0)


def test_official_rounding():
    """start = round((S - floor(s S)) u) cells, then bilinear resize of the cut-out."""
    feats = torch.randn(1, 2, 80, 80)
    side, u_row, u_col = 0.613, 0.37, 0.81
    box = torch.tensor([[u_col * (1 - side), u_row * (1 - side), u_col * (1 - side) + side, u_row * (1 - side) + side]])
    out = warp(feats, box, torch.tensor([False]), rounding='official')
    n_cells = int(side * 80)
    top, left = round((80 - n_cells) * u_row), round((80 - n_cells) * u_col)
    cut = feats[:, :, top:top + n_cells, left:left + n_cells]
    expected = F.interpolate(cut, size=(80, 80), mode='bilinear', align_corners=False)
    # grid_sample sees past the border of the cut-out, interpolate does not: compare the interior
    torch.testing.assert_close(out[..., 2:-2, 2:-2], expected[..., 2:-2, 2:-2], atol=1e-4, rtol=0)


def test_unknown_rounding():
    with pytest.raises(ValueError, match="rounding='floor'"):
        warp(torch.zeros(1, 1, 2, 2), torch.zeros(1, 4), torch.zeros(1), rounding='floor')


@pytest.mark.parametrize('epoch', range(4))
def test_both_views_show_the_same_place(epoch):
    """For a network that only averages 4 x 4 pixels, view 1 equals the warped view 2."""
    import mmseg_unsup.datasets.transforms  # noqa: F401
    pipeline = Compose([
        dict(type='mmseg_unsup.CenterSquareCrop'),
        dict(type='mmseg_unsup.MakeViews', num_views=2),
        dict(type='mmseg_unsup.PairedCropFlip', size=96, scale=(0.5, 1.), flip_prob=0.5),
        dict(type='mmseg_unsup.PackViews'),
    ])
    rows, cols = np.mgrid[:200, :240]
    img = np.stack([cols, rows, 100 + cols - rows // 2], -1).astype(np.uint8)  # ramps: resampling leaves them
    with keyed_global_rng(0, epoch, 0):
        sample = pipeline(dict(img=img))
    box, flip = sample['data_samples'].crop_box, sample['data_samples'].flip
    view1, view2 = (F.avg_pool2d(view[None].float(), 4)[:, :2] for view in sample['inputs'])
    warped = warp(view2, torch.tensor([box]), torch.tensor([flip]))
    interior = (Ellipsis, slice(2, -2), slice(2, -2))
    assert (view1 - warped)[interior].abs().max() < 1.1  # grey levels; both were rounded to whole ones
    assert (view1 - warped.roll(1, -1))[interior].abs().mean() > 1.5  # one cell off shows
