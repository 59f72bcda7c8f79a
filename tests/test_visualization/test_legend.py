import numpy as np

from mmseg_unsup.visualization import with_legend

COLORS = np.array([[200, 10, 10], [10, 200, 10]], np.uint8)


def test_legend_beside_the_picture():
    picture = np.full((90, 50, 3), 77, np.uint8)
    drawn = with_legend(picture, ['sky', 'Straße'], COLORS)
    assert (drawn[:, :50] == 77).all() and drawn.shape[0] == 90
    for color in COLORS:
        square = (drawn[:, 50:] == color).all(-1)
        rows, columns = np.nonzero(square)
        assert square.sum() == (rows.max() - rows.min() + 1)**2 == (columns.max() - columns.min() + 1)**2  # filled
        text = drawn[rows.min():rows.max(), 50 + columns.max() + 3:]
        assert (text < 128).any()  # dark on white
    assert np.ptp(np.nonzero((drawn == COLORS[1]).all(-1))[0]) > 5
    # a name that the font has is drawn as itself, not as a box for what is missing
    accents = [with_legend(picture, [name, 'x'], COLORS) for name in ('ß', 'é')]
    assert (accents[0].shape != accents[1].shape) or (accents[0] != accents[1]).any()


def test_a_long_legend_is_longer_than_the_picture():
    picture = np.full((20, 50, 3), 77, np.uint8)
    drawn = with_legend(picture, ['a'] * 30, np.repeat(COLORS, 15, 0))
    assert drawn.shape[0] >= 600 and (drawn[20:, :50] == 255).all()
    assert with_legend(picture, [], COLORS[:0]).shape[0] == 20
