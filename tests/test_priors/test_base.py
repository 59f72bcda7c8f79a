"""From a map to a mask, by hand."""
import json

import numpy as np
import pytest

from mmseg_unsup.priors import Prior, RBDPrior, clean_mask
from mmseg_unsup.registry import PRIORS


class Given(Prior):
    """Returns a map that the test gives."""

    def __init__(self, given, **kwargs):
        super().__init__(**kwargs)
        self.given = given

    def saliency(self, image, stem=None):
        return self.given


def blank(size=20):
    return np.zeros((size, size), bool)  # 1 % are 4 of 400 pixels


def test_small_objects_go_and_small_holes_are_filled():
    mask = blank()
    mask[4:14, 4:14] = True
    mask[6, 6:9] = False  # 3 pixels: filled
    mask[9:11, 9:11] = False  # 4 pixels: a hole stays
    mask[17, 0:3] = True  # 3 pixels: dropped
    mask[17:19, 10:12] = True  # 4 pixels: stays
    expected = blank()
    expected[4:14, 4:14] = True
    expected[9:11, 9:11] = False
    expected[17:19, 10:12] = True
    np.testing.assert_array_equal(clean_mask(mask, 0.01), 255 * expected.astype(np.uint8))
    np.testing.assert_array_equal(clean_mask(mask, 0), 255 * mask.astype(np.uint8))


def test_corners_join_objects_but_not_holes():
    mask = blank()
    for i in range(5):
        mask[5 + i, 5 + i] = True  # one object of 5 pixels
    np.testing.assert_array_equal(clean_mask(mask, 0.01) > 0, mask)
    ring = blank()
    ring[4:12, 4:12] = True
    for i in range(5):
        ring[5 + i, 5 + i] = False  # five holes of one pixel
    assert (clean_mask(ring, 0.01) > 0)[4:12, 4:12].all()


def test_background_on_the_border_is_no_hole():
    mask = np.ones((20, 20), bool)
    mask[0, 0:3] = mask[0, 10:13] = False  # 6 pixels in two pieces
    np.testing.assert_array_equal(clean_mask(mask, 0.01) > 0, mask)


@pytest.mark.parametrize('covered, usable', [(3, False), (4, True), (200, True), (396, True), (397, False), (0, False),
                                             (400, False)])
def test_masks_that_cover_too_little_or_too_much_are_not_usable(covered, usable):
    mask = blank()
    mask.flat[:covered] = True
    assert clean_mask(mask, 0.01).any() == usable


def test_threshold():
    values = np.repeat(np.linspace(0, 1, 20, dtype=np.float32)[None], 20, 0)
    image = np.zeros((20, 20, 3), np.uint8)
    for threshold in (0.25, 0.7):
        np.testing.assert_array_equal(Given(values, threshold=threshold)(image) > 0, values > threshold)
    two = np.where(values > 0.8, np.float32(0.4), np.float32(0.1))
    np.testing.assert_array_equal(Given(two)(image) > 0, two == np.float32(0.4))  # Otsu
    assert not Given(np.full_like(two, 0.3))(image).any()


@pytest.mark.parametrize('options, message', [
    (dict(threshold='best'), "threshold='best' of Given: give 'otsu' or a number"),
    (dict(threshold=1.), 'threshold=1.0'),
    (dict(threshold=True), 'threshold=True'),
    (dict(min_area=0.5), 'min_area=0.5 of Given is a share of the image'),
])
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        Given(None, **options)


@pytest.mark.parametrize('image', [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8), 3])
def test_only_rgb_images(image):
    with pytest.raises(TypeError, match=r'uint8 \(H, W, 3\), but got'):
        RBDPrior()(image)


def test_describe_is_complete_and_builds_the_same():
    prior = PRIORS.build(dict(type='mmseg_unsup.RBDPrior', n_superpixels=(40, 60), min_area=0.02))
    record = json.loads(json.dumps(prior.describe()))
    assert record['method'] == 'RBDPrior' and record['labels'] == 'none'
    assert record['parameters']['n_superpixels'] == [40, 60] and record['parameters']['threshold'] == 'otsu'
    assert PRIORS.build(dict(type='mmseg_unsup.RBDPrior', **record['parameters'])).describe() == record
