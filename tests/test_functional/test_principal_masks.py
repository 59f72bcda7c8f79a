"""Principal masks against arrays of the official code and another solver."""
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmseg_unsup.functional import mask_log_probabilities, principal_direction, principal_masks
from ..facts import facts


def arrays_of(threshold):
    """Features, image (H, W, 3) uint8, and by name what became of them."""
    arrays = facts('primaps_masks')
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    image = (arrays['img'].transpose(1, 2, 0) * std + mean).clip(0, 1) * 255
    own = {name.split('/')[1]: value for name, value in arrays.items() if name.startswith(f'thr{threshold:g}/')}
    return torch.from_numpy(arrays['feat']), image.astype(np.uint8), own


@pytest.mark.parametrize('threshold', [0.4, 0.35])
def test_masks_are_those_of_the_official_code(threshold):
    feats, _, expected = arrays_of(threshold)
    directions = torch.from_numpy(expected['directions'])
    masks = principal_masks(feats, threshold, directions=directions)
    np.testing.assert_allclose(mask_log_probabilities(masks), expected['logits_before_crf'], atol=1e-5)
    free = torch.ones(100, dtype=torch.bool)
    for mask, direction, n_free in zip(masks, directions, expected['free_patches']):
        assert free.sum() == n_free
        found = principal_direction(feats.flatten(1)[:, free])
        torch.testing.assert_close(found, direction * (found @ direction).sign(), atol=1e-5, rtol=0)
        free &= mask.flatten() <= 0
    assert len(masks) == len(directions)


@pytest.mark.parametrize('threshold', [0.4, 0.35])
def test_the_crf_gives_the_official_labels(threshold):
    pytest.importorskip('pydensecrf', reason='a dense CRF needs pydensecrf')
    from mmseg_unsup.functional.dense_crf import DenseCRF
    from mmseg_unsup.priors.features import segment_map
    _, image, expected = arrays_of(threshold)
    labels = segment_map(expected['logits_before_crf'], image, DenseCRF())
    np.testing.assert_array_equal(np.where(labels == 0, 255, labels), expected['pseudo'])


def test_the_median_is_the_official_one():
    arrays = facts('primaps_masks')
    values = torch.from_numpy(arrays['median_in'])[0]
    scaled = mask_log_probabilities(values / 10)  # the gain is undone, so that nothing is cut off but by 0 and 1
    smooth = torch.from_numpy(arrays['median_out'])[0].clamp(0, 1)
    background = (smooth[smooth != 0].mean() - smooth.sum(0)).clamp(0, 1)
    torch.testing.assert_close(scaled, F.log_softmax(torch.cat([background[None], smooth]), 0), atol=1e-6, rtol=0)


@pytest.mark.parametrize('shape', [(5, 40), (40, 12)])
def test_the_direction_is_the_first_singular_vector_on_the_side_of_the_mean(shape):
    cells = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.3
    expected = np.linalg.svd((cells - cells.mean(1, keepdim=True)).numpy())[0][:, 0]
    found = principal_direction(cells).numpy()
    np.testing.assert_allclose(found, expected * np.sign(expected @ cells.mean(1).numpy()), atol=1e-9)


def test_parts_of_one_direction_are_the_masks():
    truth = torch.zeros(6, 8, dtype=torch.long)
    truth[:, 3:], truth[2:5, 4:7] = 1, 2
    masks = principal_masks(2 * torch.eye(3)[:, truth])
    assert len(masks) == 3 and torch.equal(masks.sum(0), torch.ones(6, 8))
    assert all((truth[mask > 0] == truth[mask > 0][0]).all() for mask in masks)
    sizes = (masks > 0).sum((1, 2))
    assert len(principal_masks(2 * torch.eye(3)[:, truth], covered=float(sizes[:2].sum()) / 48)) == 2
    assert len(principal_masks(2 * torch.eye(3)[:, truth], max_masks=1)) == 1
    assert principal_masks(torch.zeros(3, 4, 4)).shape == (0, 4, 4)  # nothing is like anything
    assert (principal_masks(torch.ones(3, 4, 4)) == 1).all()
    with pytest.raises(ValueError, match=r'at least 2x2 cells, but got \(3, 1, 4\): enlarge the image'):
        principal_masks(torch.ones(3, 1, 4))


def test_a_share_of_the_largest_cosine_bounds_a_mask():
    angles = torch.tensor([0., 0.1, 1.1, 1.2]).repeat(2, 1)  # cosines with the first: 1, 0.995, 0.454, 0.362
    feats = torch.stack([angles.cos(), angles.sin()])
    sizes = [[int(mask.count_nonzero()) for mask in principal_masks(feats, share)] for share in (0.2, 0.6)]
    assert sizes == [[8], [4, 4]]
