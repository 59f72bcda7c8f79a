"""Polygons of label maps, beside the pixels that they must enclose."""
import numpy as np
import pytest
from skimage.measure import label

from mmseg_unsup.formats.regions import cut_open, trace_regions

pytest.importorskip('shapely')


def inside(ring: np.ndarray, height: int, width: int) -> np.ndarray:
    """Which centres of pixels have an odd number of edges to their left: a slow count, edge by edge."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    odd = np.zeros((height, width), bool)
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, 0)):
        if y0 != y1:
            crosses = (np.minimum(y0, y1) <= y) & (y < np.maximum(y0, y1))
            odd ^= crosses & (x0 + (y - y0) / (y1 - y0) * (x1 - x0) < x)
    return odd


@pytest.mark.parametrize('seed', range(3))
def test_every_pixel_is_in_one_region_of_its_class(seed):
    """Noise: holes in holes, and regions that touch at corners; what is void has no region."""
    rng = np.random.default_rng(seed)
    ids = rng.choice([0, 1, 2, 255], (14, 19), p=[.55, .25, .15, .05]).astype(np.uint8)
    regions = trace_regions(ids, 3, 0)
    counts = np.zeros(ids.shape, int)
    for region in regions:
        pixels = inside(region.ring, *ids.shape)
        assert (ids[pixels] == region.class_id).all() and pixels.sum() == region.area
        counts += pixels
    assert (counts == (ids < 3)).all()
    components = label(ids.astype(int) + 1, connectivity=1)
    assert len(regions) == len(np.unique(components[ids < 3]))


def test_simpler_regions_leave_no_gap_and_do_not_overlap():
    y, x = np.mgrid[:60, :80]
    ids = ((x - 40)**2 + (y - 30)**2 < 400).astype(int) + ((x - 40)**2 + (y - 30)**2 < 64)
    exact, simple, coarse = (trace_regions(ids, 3, tolerance) for tolerance in (0, 1, 4))
    corners = [sum(len(region.ring) for region in regions) for regions in (exact, simple, coarse)]
    assert corners[0] > 1.2 * corners[1] > 2 * corners[2]
    for regions in (exact, simple, coarse):
        assert sum(inside(region.ring, 60, 80).astype(int) for region in regions).tolist() == np.ones((60, 80)).tolist()
        assert sum(region.area for region in regions) == pytest.approx(60 * 80)
    for region in simple:
        found, true = inside(region.ring, 60, 80), ids == region.class_id
        assert (found & true).sum() / (found | true).sum() > 0.98


def test_a_hole_is_cut_open():
    square = np.array([(0, 0), (4, 0), (4, 4), (0, 4)], float)
    ring = cut_open([square, square / 4 + (2, 1)])
    assert ring.tolist() == [[0, 0], [4, 0], [4, 4], [0, 4], [0, 1], [2, 1], [3, 1], [3, 2], [2, 2], [2, 1], [0, 1]]
