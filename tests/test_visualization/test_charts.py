"""Charts, by the areas and places of their colours."""
import matplotlib
import numpy as np
import pytest

from mmseg_unsup.visualization import heat_map, size_chart


def places(picture: np.ndarray, color) -> np.ndarray:
    """(n, 2) rows and columns of the pixels of a colour."""
    return np.argwhere((np.abs(picture.astype(int) - np.asarray(color)) <= 1).all(-1))


def test_bars_are_as_high_as_shares_and_the_largest_is_first():
    palette = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200], [9, 9, 99]], np.uint8)
    picture = size_chart(np.array([0.25, 0.5, 0.25, 0.]), palette)
    areas = [len(places(picture, color)) for color in palette]
    assert areas[1] == pytest.approx(2 * areas[0], rel=0.05) and areas[2] == pytest.approx(areas[0], rel=0.05)
    assert areas[3] == 0
    columns = [places(picture, color)[:, 1].mean() for color in palette[[1, 0, 2]]]
    assert columns == sorted(columns)


@pytest.mark.parametrize('shape', [(2, 2), (27, 27), (21, 300)])
def test_cells_have_the_colour_of_their_value(shape):
    values = np.full(shape, 0.25)
    values[0, -1] = 0.75
    picture = heat_map(values, range(shape[0]), range(shape[1]), 'title', row_title='rows')
    viridis = matplotlib.colormaps['viridis']
    low, high = (places(picture, 255 * np.array(viridis(value)[:3])) for value in (0.25, 0.75))
    # the corner is at the top right of its block; the colour bar, right of it, holds a few pixels of each
    body = high[high[:, 1] <= low[:, 1].max()]
    assert body[:, 0].mean() < low[:, 0].mean() and body[:, 1].mean() > low[:, 1].mean()
    assert len(body) * (values.size - 1) == pytest.approx(len(low), rel=0.5)


def test_numbers_are_legible_on_their_cells():
    def ink(values, write_numbers):
        """Dark and white pixels within the cells, at the left and the right."""
        picture = heat_map(np.array([values]), ['a'], ['b', 'c'], '', high=100., write_numbers=write_numbers)
        viridis = matplotlib.colormaps['viridis']
        cells = [places(picture, 255 * np.array(viridis(value / 100)[:3])) for value in values]
        middles = [picture[slice(*np.quantile(cell[:, 0], (0.02, 0.98)).astype(int)),
                           slice(*np.quantile(cell[:, 1], (0.02, 0.98)).astype(int))] for cell in cells]
        return [((middle < 60).all(-1).sum(), (middle > 200).all(-1).sum()) for middle in middles]

    (dark, white), (none, light) = ink([90., 10.], True)
    assert dark > 5 and light > 5 and white == none == 0
    assert ink([90., 10.], False) == [(0, 0), (0, 0)]
    assert ink([90., 0.4], True)[1] == (0, 0)
    heat_map(np.full((3, 300), 50.), range(3), range(300), '', high=100., write_numbers=True)  # no space


def test_many_clusters_fit_a_picture():
    assert size_chart(np.full(500, 1 / 500), np.zeros((500, 3), np.uint8)).shape[1] <= 1600
    assert max(heat_map(np.eye(500), range(500), range(500), '').shape[:2]) <= 1700
