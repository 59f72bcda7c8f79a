"""Pictures and figures are written in one step, and a name that says no format is refused before the work."""
import re

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from mmseg_unsup.utils.pictures import check_picture, write_figure, write_picture
from .test_atomic import file_limit


@pytest.mark.parametrize('name', ['picture', 'picture.gif', 'picture.xyz', 'folder.png'])
def test_a_name_that_is_no_picture(name, tmp_path):
    (tmp_path / 'folder.png').mkdir()
    path = str(tmp_path / name)
    with pytest.raises(ValueError, match=f'^the picture {re.escape(repr(path))} must be a file whose name ends in '):
        check_picture(path)


@pytest.mark.parametrize('suffix', ['.png', '.PNG', '.bmp', '.tif', '.ppm'])
def test_a_name_that_passes_can_be_written(suffix, tmp_path):
    path, picture = str(tmp_path / f'picture{suffix}'), np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    check_picture(path)
    write_picture(path, picture)
    np.testing.assert_array_equal(cv2.imread(path)[..., ::-1], picture)


def test_figures(tmp_path):
    figure, path = Figure(), str(tmp_path / 'figure.png')
    with file_limit(1000), pytest.raises(OSError, match=f'File too large: .*: {re.escape(repr(path))}$'):
        write_figure(path, figure)
    with pytest.raises(ValueError, match="'xyz' is not supported"):
        write_figure(str(tmp_path / 'figure.xyz'), figure)
    assert not list(tmp_path.iterdir())
    write_figure(path, figure, dpi=20)
    assert cv2.imread(path).shape == (96, 128, 3)
