"""Rasters as pictures, by the command line, and maps of these on the map."""
import os

import numpy as np
import pytest

from mmseg_unsup.commands import main
from mmseg_unsup.converters import rasters
from mmseg_unsup.datasets.pictures import read_indexed, read_rgb
from ..conftest import smooth_image
from .test_use_a_model import trained

rasterio = pytest.importorskip('rasterio')

HEIGHT, WIDTH = 50, 71
PLACE = dict(crs='EPSG:32632', transform=rasterio.transform.from_origin(500000, 5300000, 10, 10))


def write(path, values: np.ndarray, **profile) -> None:
    """Bands first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, 'w', driver='GTiff', count=len(values), height=values.shape[1], width=values.shape[2],
                       dtype=values.dtype, **PLACE, **profile) as file:
        file.write(values)


@pytest.fixture
def values():
    """Four bands of a sensor of 12 bits, a corner without data."""
    image = smooth_image(np.random.default_rng(0), HEIGHT, WIDTH).astype(np.uint16) * 12 + 100
    found = np.moveaxis(np.dstack([image, image[..., 0] // 2]), -1, 0)
    found[:, :30, :40] = 0
    return found


@pytest.fixture
def folder(tmp_path, values):
    write(tmp_path / 'My Scenes' / 'Übersicht' / 'a b.tif', values, nodata=0)
    return tmp_path / 'My Scenes'


def scaled(values, low, high) -> np.ndarray:
    """By the rule in the help, number by number."""
    return np.array([min(255, max(0, round(255 * (int(value) - low) / (high - low)))) for value in values.ravel()]
                    ).reshape(values.shape)


def test_a_raster_that_is_cut_off(folder, tmp_path, capsys):
    """The message names it, and not the picture that was being made of it."""
    path = folder / 'Übersicht' / 'a b.tif'
    path.write_bytes(path.read_bytes()[:-2000])
    assert main(['rasters', str(folder), '--out', str(tmp_path / 'out'), '--bands', '1', '--range', '0', '9']) == 2
    error = capsys.readouterr().err
    assert f'error: {path} cannot be read as a raster: ' in error and 'give the whole file, or leave it out' in error
    assert not [*tmp_path.glob('out/**/*.tif*')]


@pytest.mark.parametrize('rows', [512, 7])
def test_pictures_of_rasters(rows, folder, values, tmp_path, tool, monkeypatch, capsys):
    monkeypatch.setattr(rasters, '_ROWS', rows)
    tool('rasters', folder, '--out', tmp_path / 'whole', '--bands', 3, 2, 1, '--range', 200, 2500)
    assert f'1 picture in {tmp_path}/whole' in capsys.readouterr().out
    path = tmp_path / 'whole' / 'Übersicht' / 'a b.tif'
    expected = np.moveaxis(np.where(values[0] == 0, 0, scaled(values[2::-1], 200, 2500)), 0, -1)
    np.testing.assert_array_equal(read_rgb(str(path)), expected)
    with rasterio.open(path) as file:
        assert file.crs.to_epsg() == 32632 and file.transform == PLACE['transform'] and file.nodata is None
        np.testing.assert_array_equal(file.dataset_mask() > 0, values[0] > 0)


def test_cut_rasters_lie_side_by_side(folder, values, tmp_path, tool, monkeypatch, capsys):
    """Stopped in between; without the picture that has no data. Maps of them are one map."""
    command = ['rasters', folder, '--out', tmp_path / 'cut', '--bands', '1', '--range', '0', '3000', '--cut', '20']
    write_one, calls = rasters._write, iter(range(4))
    with monkeypatch.context() as patch:
        patch.setattr(rasters, '_write', lambda *args: write_one(*args) if next(calls) < 3 else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            tool(*command)
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / 'cut').rglob('*.tif')}
    tool(*command)
    assert f'10 pictures in {tmp_path}/cut, 2 left out without values' in capsys.readouterr().out
    assert 0 < len(made) < 10 and all(path.stat().st_mtime_ns == time for path, time in made.items())
    assert not [name for name in os.listdir(tmp_path / 'cut' / 'Übersicht') if not name.endswith('.tif')]
    tool('predict', *trained(tmp_path), tmp_path / 'cut', '--out', tmp_path / 'out', '--device', 'cpu', '--format',
         'geotiff')
    found, expected = np.full((HEIGHT, WIDTH), -1), np.full((HEIGHT, WIDTH), -1)
    for path in sorted((tmp_path / 'out' / 'geotiff').rglob('*.tif')):
        ids = read_indexed(str(tmp_path / 'out' / 'maps' / 'Übersicht' / f'{path.name}.png'))
        top, left = map(int, path.stem.split('_')[1:])
        expected[top:top + ids.shape[0], left:left + ids.shape[1]] = ids
        with rasterio.open(path) as file:
            column, row = ~PLACE['transform'] * (file.bounds.left, file.bounds.top)
            found[round(row):round(row) + file.height, round(column):round(column) + file.width] = file.read(1)
    assert max(ids.shape) <= 20
    np.testing.assert_array_equal(found, np.where((values[0] == 0) & (expected >= 0), 255, expected))
    assert (found == -1).sum() < 30 * 40 and {*np.unique(found)} - {-1, 255} <= {*range(5)}


@pytest.mark.parametrize('kind, limits, expected', [
    (np.uint8, None, [0, 7, 255]), (np.uint8, (0, 14), [0, 128, 255]), (np.int16, (-30, 300), [23, 29, 220]),
    (np.float32, (0, 10), [0, 178, 255])])
def test_numbers(kind, limits, expected):
    values = np.array([0, 7, 255]).astype(kind)
    assert rasters.to_bytes(values, limits).tolist() == expected
    if kind == np.float32:
        assert rasters.to_bytes(np.float32([np.nan, -np.inf, np.inf]), limits).tolist() == [0, 0, 255]


def test_bands_that_need_no_choice(tmp_path, tool):
    rgb = np.random.default_rng(0).integers(1, 256, (3, 20, 30)).astype(np.uint8)
    alpha = np.full((1, 20, 30), 255, np.uint8)
    alpha[0, :5] = 0
    for name, bands, options in (('grey', rgb[:1], {}), ('colour', rgb, dict(photometric='MINISBLACK')),
                                 ('alpha', np.concatenate([rgb, alpha]), {})):
        write(tmp_path / 'in' / f'{name}.TIF', bands, **options)
    with rasterio.open(tmp_path / 'in' / 'wavelets.jp2', 'w', driver='JP2OpenJPEG', width=30, height=20, count=3,
                       dtype='uint8', quality='100', reversible='YES', ycbcr420='NO', **PLACE) as file:
        file.write(rgb)
    tool('rasters', tmp_path / 'in', '--out', tmp_path / 'out')
    expected = np.moveaxis(rgb, 0, -1)
    assert (read_rgb(str(tmp_path / 'out' / 'grey.tif')) == expected[..., :1]).all()
    assert (read_rgb(str(tmp_path / 'out' / 'colour.tif')) == expected).all()
    assert (read_rgb(str(tmp_path / 'out' / 'wavelets.tif')) == expected).all()
    assert (read_rgb(str(tmp_path / 'out' / 'alpha.tif')) == np.where(alpha[0, ..., None], expected, 0)).all()


@pytest.mark.parametrize('words, message', [
    ('', 'a b.tif has 4 bands: say which are red, green and blue, as by --bands 3 2 1, or give one'),
    ('--bands 4 2 1', 'a b.tif has values of uint16: say which of them become black and white, for all files alike; of '
     'the values of this one 2 % lie below and above --range {low:.4g} {high:.4g}'),
    ('--bands 5', 'a b.tif has 4 bands, and no band 5: give other --bands'),
    ('--bands 1 2', '--bands 1 2 are 2: give three, for red, green and blue, or one'),
    ('--bands 1 --range 9 9', '--range 9 9 must be two numbers, the first one smaller'),
    ('--bands 1 --range 0 nan', '--range 0 nan must be two numbers'),
    ('--bands 0', 'argument --bands: it must be a whole number of at least 1'),
])
def test_what_is_said_first(words, message, folder, values, tmp_path, capsys):
    low, high = np.percentile(values[[3, 1, 0]][:, values[0] > 0], (2, 98))
    try:
        status = main(['rasters', str(folder), '--out', str(tmp_path / 'out'), *words.split()])
    except SystemExit as end:
        status = end.code
    assert status == 2 and message.format(low=low, high=high) in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_places_that_are_refused(folder, tmp_path, tool):
    options = ['--bands', '1', '--range', '0', '3000']
    with pytest.raises(ValueError, match='lies in the folder of the rasters, which would be read again'):
        tool('rasters', folder, '--out', folder / 'out', *options)
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'x.tif').write_text('mine')
    with pytest.raises(ValueError, match='mine holds other files, or is one: give a folder that is empty or new'):
        tool('rasters', folder, '--out', tmp_path / 'mine', *options)
    tool('rasters', folder, '--out', tmp_path / 'out', *options)
    with pytest.raises(ValueError, match='rasters.json records results with range.1=3000.0, but this call has 2000.0'):
        tool('rasters', folder, '--out', tmp_path / 'out', '--bands', '1', '--range', '0', '2000')
    (folder / 'Übersicht' / 'a b.jp2').write_bytes(b'no raster')
    with pytest.raises(ValueError, match='a b.jp2 and .*a b.tif would have the same picture: rename one of them'):
        tool('rasters', folder, '--out', tmp_path / 'new', *options)
    os.remove(folder / 'Übersicht' / 'a b.tif')
    with pytest.raises(ValueError, match='a b.jp2 is no raster, which is a GeoTIFF, JPEG 2000'):
        tool('rasters', folder, '--out', tmp_path / 'new', *options)
    with pytest.raises(ValueError, match='there is no raster below .*mine/none: expected'):
        (tmp_path / 'mine' / 'none').mkdir()
        tool('rasters', tmp_path / 'mine' / 'none', '--out', tmp_path / 'new')
    with pytest.raises(FileNotFoundError, match="nowhere' does not exist"):
        tool('rasters', tmp_path / 'nowhere', '--out', tmp_path / 'new')
    assert not (tmp_path / 'new').exists()
