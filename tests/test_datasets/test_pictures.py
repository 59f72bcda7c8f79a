"""Pictures, figures and maps: what they are called, that they are written in one step, and what is in them."""
import os
import os.path as osp
import re

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from mmseg_unsup.datasets.image_files import IMAGE_SUFFIXES
from mmseg_unsup.datasets.pictures import check_picture, map_name, write_figure, write_indexed, write_picture
from mmseg_unsup.visualization import cluster_palette
from ..test_utils.test_atomic import file_limit

SUFFIXES = st.sampled_from([*IMAGE_SUFFIXES, '.PNG', '.Jpg'])
NAMES = st.builds(lambda folder, stem, suffixes: f'{folder}{stem}{"".join(suffixes)}',
                  st.sampled_from(['', 'a/', 'a.png/']), st.sampled_from(['x', 'x.y', 'é' * 125, 'x' * 243]),
                  st.lists(SUFFIXES, min_size=1, max_size=3))


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


@pytest.mark.parametrize('image, expected', [
    ('x.png', 'x.png'), ('a/x.jpg', 'a/x.jpg.png'), ('x.jpg.png', 'x.jpg.png.png'), ('x.PNG', 'x.PNG.png'),
    ('x.PNG.png', 'x.PNG.png.png'), ('x.v2.png', 'x.v2.png'), ('a.jpg/x.png', 'a.jpg/x.png')])
def test_names_of_maps(image, expected):
    assert map_name(image) == expected


@given(st.sets(NAMES, max_size=8))
def test_no_two_images_share_a_map(images):
    maps = {map_name(image) for image in images}
    assert len(maps) == len(images) and all(name.endswith('.png') for name in maps)
    assert all(osp.dirname(map_name(image)) == osp.dirname(image) for image in images)


@pytest.mark.parametrize('stem', ['x' * 251, 'é' * 125 + 'x', os.fsdecode(b'\xe9' * 251)])
def test_names_as_long_as_a_file_system_takes_them(tmp_path, stem):
    name = map_name(f'{stem}.jpg')
    assert len(os.fsencode(name)) <= 255 and name != map_name(f'{stem[:-1]}y.jpg')
    assert name.startswith(stem[:100].encode('utf-8', 'ignore').decode())
    write_indexed(str(tmp_path / name), np.eye(3, dtype=int), cluster_palette(2))
    write_picture(str(tmp_path / f'{name[:-4]}.jpg'), np.zeros((3, 3, 3), np.uint8))
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / name)), np.eye(3))
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.parametrize('n_clusters, mode', [(255, 'P'), (256, 'I;16'), (300, 'I;16')])
def test_255_is_no_cluster_of_8_bits(tmp_path, n_clusters, mode):
    ids, path = np.arange(n_clusters).reshape(1, -1), str(tmp_path / 'map.png')
    write_indexed(path, ids, cluster_palette(n_clusters))
    image = Image.open(path)
    assert image.mode == mode
    np.testing.assert_array_equal(np.array(image), ids)
    if mode != 'P':
        np.testing.assert_array_equal(cv2.imread(path, cv2.IMREAD_UNCHANGED), ids)
