"""Regions of drawn pictures, and numbers by hand."""
import numpy as np
import pytest

from mmseg_unsup.priors import RegionPrior
from mmseg_unsup.priors.region import merge_regions, number_regions
from mmseg_unsup.priors.superpixels import Superpixels


def stripes():
    """Three stripes of 60, 40, 20 of 120 columns."""
    image = np.zeros((80, 120, 3), np.uint8)
    for left, right, color in ((0, 60, (200, 60, 60)), (60, 100, (60, 180, 60)), (100, 120, (60, 60, 200))):
        image[:, left:right] = color
    return image


def test_stripes_are_regions_in_the_order_of_their_size():
    mask = RegionPrior()(stripes())
    expected = np.repeat([1, 2, 3], [60, 40, 20])[None].repeat(80, 0)
    assert mask.dtype == np.uint8 and (mask == expected).mean() > 0.98
    np.testing.assert_array_equal(RegionPrior()(stripes()), mask)
    reduced = RegionPrior(max_side=60)(stripes())
    assert reduced.shape == (80, 120) and (reduced == expected).mean() > 0.95


def test_options():
    assert set(np.unique(RegionPrior(max_regions=2)(stripes()))) == {0, 1, 2}
    assert set(np.unique(RegionPrior(min_area=0.25)(stripes()))) == {0, 1, 2}
    assert set(np.unique(RegionPrior(max_difference=500)(stripes()))) == {1}
    np.testing.assert_array_equal(
        RegionPrior(min_area=0.25).saliency(stripes()), RegionPrior(min_area=0.25)(stripes()) > 0)
    assert RegionPrior(n_superpixels=20)(stripes()).any() and RegionPrior(compactness=5.)(stripes()).any()


def test_merging_by_hand():
    """0 and 1 join first; their mean, weighted by pixels, is then 9 from 2, and 2 is 11 from 3."""
    colors = np.array([[0., 0, 0], [4, 0, 0], [12, 0, 0], [23, 0, 0]])
    neighbors = np.eye(4, k=1, dtype=bool) | np.eye(4, k=-1, dtype=bool)
    ids = np.array([[0, 1, 1, 1, 2, 3]])  # the mean of 0 and 1 is 3
    superpixels = Superpixels(ids, colors, np.zeros((4, 2)), neighbors, np.ones(4, bool))

    def groups(max_difference):
        regions = merge_regions(superpixels, max_difference)
        return [regions.tolist().index(region) for region in regions]

    assert groups(3.9) == [0, 1, 2, 3]
    assert groups(8.9) == [0, 0, 2, 3]
    assert groups(9.1) == [0, 0, 0, 3]  # their mean is 4.8, 18.2 from 3
    assert groups(18.1) == [0, 0, 0, 3]
    assert groups(18.3) == [0, 0, 0, 0]


def test_numbers_by_hand():
    regions = np.array([[7, 7, 7, 3, 3], [9, 9, 9, 9, 4]])
    np.testing.assert_array_equal(number_regions(regions, 0.2, 254), [[2, 2, 2, 3, 3], [1, 1, 1, 1, 0]])
    np.testing.assert_array_equal(number_regions(regions, 0., 2), [[2, 2, 2, 0, 0], [1, 1, 1, 1, 0]])


@pytest.mark.parametrize('options, message', [
    (dict(max_regions=255), 'an 8-bit mask holds 1 to 254 regions'),
    (dict(max_regions=0), 'max_regions=0'),
    (dict(n_superpixels=1), 'n_superpixels=1'),
    (dict(max_difference=0), 'max_difference=0 of RegionPrior must be positive'),
    (dict(min_area=1), 'min_area=1'),
])
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        RegionPrior(**options)
