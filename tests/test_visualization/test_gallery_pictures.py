"""What a gallery shows is cut out, shrunk and packed as it says."""
import zlib

import cv2
import numpy as np
import pytest

from mmseg_unsup.visualization.gallery_pictures import (QUALITIES, cut_place, encode_jpeg, fit_jpegs, fitted_size,
                                                        pack_ids, shrunk)
from ..conftest import smooth_image


@pytest.mark.parametrize('n_clusters, dtype', [(256, np.uint8), (257, '<u2')])
def test_packed_ids_are_those_of_the_nearest_pixels(n_clusters, dtype):
    clusters = np.random.default_rng(0).integers(0, n_clusters, (30, 60))
    packed = np.frombuffer(zlib.decompress(pack_ids(clusters, 20, n_clusters)), dtype).reshape(10, 20)
    np.testing.assert_array_equal(packed, clusters[1::3, 1::3])
    whole = np.frombuffer(zlib.decompress(pack_ids(clusters, 100, n_clusters)), dtype).reshape(30, 60)
    np.testing.assert_array_equal(whole, clusters)


def test_pictures_shrink_and_never_grow():
    assert fitted_size((30, 60), 20) == (10, 20) and fitted_size((30, 60), 100) == (30, 60)
    assert fitted_size((1, 1000), 10) == (1, 10)
    picture = np.zeros((30, 60, 3), np.uint8)
    picture[:, 30:] = 200
    np.testing.assert_array_equal(shrunk(picture, 20)[:, :10], 0)
    np.testing.assert_array_equal(shrunk(picture, 20)[:, 10:], 200)


@pytest.mark.parametrize('box, top, left, extent', [
    ((.5, .5, .5, .5), 39, 89, 22),  # a cell: with its surroundings
    ((.5, .4, .7, .6), 28, 98, 44),  # an object, a tenth larger
    ((0., 0., .01, .01), 0, 0, 22),  # moved into the picture
    ((.99, .99, 1., 1.), 78, 178, 22),
    ((0., 0., 1., 1.), 0, 50, 100),  # larger than a square in it can be
])
def test_places_are_squares_around_their_boxes(box, top, left, extent):
    picture = smooth_image(np.random.default_rng(0), 100, 200)
    expected = cv2.resize(picture[top:top + extent, left:left + extent], (16, 16), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(cut_place(picture, box, 16), expected)


def test_jpegs_fit_by_their_quality():
    pictures = {i: smooth_image(np.random.default_rng(i), 60, 80) for i in range(3)}
    jpegs = {i: encode_jpeg(picture) for i, picture in pictures.items()}
    decoded = cv2.imdecode(np.frombuffer(jpegs[0], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(decoded.astype(int) - pictures[0]).mean() < 3
    total = sum(map(len, jpegs.values()))
    assert fit_jpegs(jpegs, total) == jpegs
    smaller = fit_jpegs(jpegs, total - 1)
    assert sum(map(len, smaller.values())) < total and list(smaller) == list(jpegs)
    assert cv2.imdecode(np.frombuffer(smaller[2], np.uint8), cv2.IMREAD_COLOR).shape == (60, 80, 3)
    least = sum(len(encode_jpeg(picture, QUALITIES[-1])) for picture in pictures.values())
    assert sum(map(len, fit_jpegs(jpegs, 0).values())) == pytest.approx(least, rel=0.15)
