"""TIFFs that are pictures are read as they are; of others nobody is shown something else."""
import numpy as np
import pytest

from mmseg_unsup.datasets.errors import UnreadableImageError
from mmseg_unsup.datasets.transforms.loading import LoadImage

rasterio = pytest.importorskip('rasterio')

HEIGHT, WIDTH = 20, 30
PLACE = dict(crs='EPSG:32632', transform=rasterio.transform.from_origin(5e5, 5e6, 10, 10))
TILED = dict(tiled=True, blockxsize=16, blockysize=16, compress='deflate')


def write(path, n_bands: int, dtype: str, **options) -> np.ndarray:
    """(H, W, B) random values, which are in the file."""
    values = np.random.default_rng(0).integers(0, 4000 if dtype != 'uint8' else 256, (n_bands, HEIGHT, WIDTH))
    with rasterio.open(path, 'w', driver='GTiff', width=WIDTH, height=HEIGHT, count=n_bands, dtype=dtype, **PLACE,
                       **options) as file:
        file.write(values.astype(dtype))
    return np.moveaxis(values, 0, -1)


def load(path) -> np.ndarray:
    """RGB."""
    return LoadImage(min_size=1)(dict(img_path=str(path)))['img'][..., ::-1]


@pytest.mark.parametrize('options', [{}, TILED, dict(TILED, interleave='band'), dict(BIGTIFF='YES')], ids=str)
@pytest.mark.parametrize('n_bands', [1, 3, 4])
def test_pictures(n_bands, options, tmp_path, capfd):
    """The fourth band, which GDAL marks as alpha, is left out: near infrared darkens no colour."""
    values = write(tmp_path / 'x.tif', n_bands, 'uint8', **options)
    np.testing.assert_array_equal(load(tmp_path / 'x.tif'), np.broadcast_to(values[..., :3], (HEIGHT, WIDTH, 3)))
    assert not capfd.readouterr().err  # of tags of coordinates


@pytest.mark.parametrize('n_bands, dtype, options, fault', [
    (1, 'uint16', {}, 'it has 1 band of 16 bits, and a picture has values from 0 to 255'),
    (3, 'uint16', dict(photometric='RGB'), 'it has 3 bands of 16 bits'),
    (4, 'uint16', dict(BIGTIFF='YES'), 'it has 4 bands of 16 bits'),
    (1, 'int16', {}, 'it has 1 band of 16 bits'),
    (1, 'float32', {}, 'it has 1 band of 32 bits'),
    (1, 'int8', {}, 'it has 1 band of 8 bits'),
    (2, 'uint8', {}, 'it has 2 bands, of which none are marked as red, green and blue'),
    (3, 'uint8', dict(photometric='MINISBLACK'), 'it has 3 bands, of which none'),
    (4, 'uint8', dict(photometric='MINISBLACK'), 'it has 4 bands, of which none'),
    (5, 'uint8', dict(photometric='RGB'), 'it has 5 bands, of which'),
])
def test_what_is_no_picture(n_bands, dtype, options, fault, tmp_path):
    write(tmp_path / 'x.tif', n_bands, dtype, **options)
    with pytest.raises(UnreadableImageError, match=fr'x.tif: {fault}.*: mmseg-unsup rasters makes pictures of such'):
        load(tmp_path / 'x.tif')


def test_a_fourth_band_that_is_cut_off(tmp_path):
    write(tmp_path / 'x.tif', 4, 'uint8', **TILED)
    content = (tmp_path / 'x.tif').read_bytes()
    for cut in (content[:-500], content[:40]):
        (tmp_path / 'x.tif').write_bytes(cut)
        with pytest.raises(UnreadableImageError, match='decoded'):
            load(tmp_path / 'x.tif')
