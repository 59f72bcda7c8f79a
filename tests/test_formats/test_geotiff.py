"""Maps that lie on the map where their images do."""
import errno
import os
import resource
import warnings

import cv2
import numpy as np
import pytest

from mmseg_unsup.apis.annotations import Annotations
from mmseg_unsup.apis.image_names import ImageNames
from mmseg_unsup.formats import table
from mmseg_unsup.formats.job import Job
from mmseg_unsup.formats.raster_files import new_geotiff
from mmseg_unsup.formats.table import check_formats
from mmseg_unsup.formats.writing import check_maps, write_formats
from mmseg_unsup.visualization import cluster_palette

pytest.importorskip('pycocotools')
rasterio = pytest.importorskip('rasterio')
shutil = pytest.importorskip('rasterio.shutil')

CLASSES = ['sky & "air"', 'Straße', 'cluster 2']
PALETTE = cluster_palette(len(CLASSES))
NAME = os.path.join('Über Land', 'a b.tif')
# turned by 30 degrees, pixels of 2 x 3 m
PLACE = dict(crs='EPSG:25832', transform=rasterio.Affine.translation(500123.5, 5300042.25)
             * rasterio.Affine.rotation(30) * rasterio.Affine.scale(2, -3))
IDS = np.random.default_rng(0).integers(0, 3, (40, 300)).astype(np.uint8)


def write_image(path, pixels: np.ndarray, **profile) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, 'w', driver='GTiff', count=len(pixels), height=pixels.shape[1], width=pixels.shape[2],
                       dtype=pixels.dtype, **profile) as file:
        file.write(pixels)


@pytest.fixture
def image(tmp_path):
    """Its last five columns have no data."""
    pixels = np.full((3, *IDS.shape), 100, np.uint8)
    pixels[..., -5:] = 0
    write_image(tmp_path / 'images' / NAME, pixels, nodata=0, **PLACE)
    return tmp_path / 'images' / NAME


def write(tmp_path, ids=IDS):
    job = Job(str(tmp_path / 'out'), CLASSES, PALETTE, str(tmp_path / 'images'))
    os.makedirs(job.out, exist_ok=True)
    folder, = write_formats(['geotiff'], job, [NAME], lambda name: ids)
    return os.path.join(folder, NAME)


def test_a_map_has_the_place_of_its_image(image, tmp_path):
    ids = np.where(np.arange(300) < 10, 255, IDS).astype(np.uint8)
    expected = np.where(np.arange(300) < 295, ids, 255)
    path = write(tmp_path, ids)
    with rasterio.open(path) as file:
        assert (file.read(1) == expected).all() and file.dtypes == ('uint8', ) and file.nodata == 255
        assert file.crs.to_epsg() == 25832 and file.transform == PLACE['transform'] and file.shape == IDS.shape
        assert file.colormap(1)[1] == (*PALETTE[1], 255)
        assert file.profile['tiled'] and file.compression.name == 'deflate'
        assert [file.tags()[f'class_{c}'] for c in range(3)] == CLASSES
    shutil.copy(path, tmp_path / 'x.vrt', driver='VRT')  # what GDAL knows of the file, as a text
    assert ('<Category>sky &amp; "air"</Category><Category>Straße</Category><Category>cluster 2</Category>'
            in ''.join(map(str.strip, (tmp_path / 'x.vrt').read_text('utf-8').splitlines())))
    (name, found), = Annotations(os.path.dirname(os.path.dirname(path)), ImageNames.of(str(tmp_path / 'images')),
                                 CLASSES)
    assert name == NAME and (found == expected).all()


@pytest.mark.parametrize('n_bytes', [300, 1500, 3000])
def test_a_full_disk(n_bytes, image, tmp_path):
    """GDAL does not tell of the bytes that it cannot write when a file is closed."""
    path = write(tmp_path)
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open(path, 'rb') as file:
        before = file.read()
    assert len(before) > 3000
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, former[1]))
        with pytest.raises(OSError, match='it cannot be written.*: nothing was written, and what was there .*whole'):
            write(tmp_path, 2 - IDS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    with open(path, 'rb') as file:
        assert file.read() == before
    assert sorted(os.listdir(os.path.dirname(path))) == ['a b.tif', 'a b.tif.aux.xml']


def test_a_file_that_is_gone_is_no_full_disk(tmp_path):
    path = tmp_path / 'x.tif'
    with pytest.raises(OSError, match=r'it cannot be written \(.*x.tif: No such file') as error, new_geotiff(
            str(path), width=3, height=2, count=1, **PLACE):
        path.unlink()
    assert error.value.errno == errno.EIO


def test_warnings_of_others_stay_as_they_were(image, tmp_path):
    cv2.imwrite(str(image.with_name('x.png')), np.zeros((4, 5), np.uint8))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        before = [*warnings.filters]
        with pytest.raises(ValueError, match='has none'):
            check_maps(['geotiff'], CLASSES, str(image.parent), ['x.png'])
        assert warnings.filters == before and not caught


def test_what_has_no_place(image, tmp_path):
    cv2.imwrite(str(image.with_name('x.png')), np.zeros((4, 5), np.uint8))
    root, name = str(tmp_path / 'images'), os.path.join('Über Land', 'x.png')
    check_maps(['geotiff'], CLASSES, root, [NAME])
    with pytest.raises(ValueError, match='^the format geotiff needs images with coordinates, and .*x.png has none: '):
        check_maps(['geotiff'], CLASSES, root, [NAME, name])
    image.with_name('x.png').write_bytes(b'II*no image')
    with pytest.raises(ValueError, match='x.png cannot be read as a raster: '):
        check_maps(['geotiff'], CLASSES, root, [NAME, name])
    of_others = image.with_name('x.png')  # which only names them
    of_others.write_text(f'<VRTDataset rasterXSize="300" rasterYSize="40"><VRTRasterBand dataType="Byte" band="1">'
                         f'<SimpleSource><SourceFilename>{image}</SourceFilename></SimpleSource></VRTRasterBand>'
                         '</VRTDataset>')
    with pytest.raises(ValueError, match='x.png is no raster, which is a GeoTIFF, .*: convert it'):
        check_maps(['geotiff'], CLASSES, root, [name])
    with pytest.raises(ValueError, match=r'caf\\udce9.tif is no name in UTF-8'):
        check_maps(['geotiff'], CLASSES, root, ['caf\udce9.tif'])
    with pytest.raises(ValueError, match='the format geotiff holds 255 classes at most'):
        check_maps(['geotiff'], [*map(str, range(256))], root, [NAME])
    with pytest.raises(ValueError, match='a b.tif has 300x40 pixels on the map, but its picture 299x40: it says that'):
        write(tmp_path, IDS[:, 1:])
    assert not [name for _, _, names in os.walk(tmp_path / 'out') for name in names if name.endswith(('tif', 'part'))]


@pytest.mark.parametrize('pixels, tags, message', [
    (np.full((1, *IDS.shape), 7), dict(class_0='Straße'), r'holds the values \[7\], which its tags do not list: add'),
    (np.full((1, *IDS.shape), 0), {}, 'is no map of classes, which has one band of 8 bits and the tags class_0'),
    (np.full((3, *IDS.shape), 0), dict(class_0='Straße'), 'is no map of classes')])
def test_maps_that_cannot_be_read(pixels, tags, message, image, tmp_path):
    path = tmp_path / 'corrected' / NAME
    write_image(path, pixels.astype(np.uint8), **PLACE)
    with rasterio.open(path, 'r+') as file:
        file.update_tags(**tags)
    with pytest.raises(ValueError, match=message):
        Annotations(str(tmp_path / 'corrected'), ImageNames.of(str(tmp_path / 'images')), CLASSES)


def test_without_the_package(monkeypatch):
    monkeypatch.setattr(table, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r'^the format geotiff needs rasterio, which .*Run: pip install '
                                          r'"mmseg-unsup\[geo\]"$'):
        check_formats(['geotiff'])
