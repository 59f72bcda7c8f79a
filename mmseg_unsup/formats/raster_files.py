"""Rasters with coordinates, opened by rasterio; a file is only data."""
import errno
import os
import os.path as osp
import warnings
from contextlib import contextmanager
from typing import Any, Iterator

from ..utils.console import size_text
from ..utils.paths import check_utf8, printable
from .table import check_packages

NEEDS = ('rasterio', )
# first bytes -> what GDAL reads them by; other drivers open what a file names elsewhere, be it on the network
_DRIVERS = {b'II': 'GTiff', b'MM': 'GTiff', b'\0\0\0\x0cjP': 'JP2OpenJPEG', b'\xff\xd8': 'JPEG', b'\x89P': 'PNG'}
_TILE = 256  # pixels, a multiple of 16
_MAX_BLOCK = 2**24  # pixels of a block of a smaller raster


@contextmanager
def open_raster(path: str) -> Iterator[Any]:
    """A raster as ``rasterio.open`` gives it.

    Raises:
        ImportError: rasterio, the extra ``geo``, is missing.
        ValueError: it is no GeoTIFF, JPEG 2000, JPEG or PNG, or is damaged, its name is no UTF-8, or its blocks are far
            larger than it.
    """
    check_packages(NEEDS, f'reading {printable(path)} with its coordinates')
    check_utf8(path, 'GDAL')
    with reading(path), _opened(path, _driver_of(path)) as raster:
        _check_blocks(raster, path)
        yield raster


def _opened(path: str, driver: str) -> Any:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        return rasterio.open(osp.abspath(path), driver=driver)


def _check_blocks(raster: Any, path: str) -> None:
    """Raise ValueError if what is decoded at a time, in whole, is much larger than the picture."""
    for block in raster.block_shapes:
        if block[0] * block[1] > max(_MAX_BLOCK, raster.height * raster.width):
            raise ValueError(f'{printable(path)} has {size_text(raster.shape)} pixels in blocks of {size_text(block)}: '
                             'write it anew (gdal_translate -co TILED=YES)')


@contextmanager
def reading(path: str) -> Iterator[None]:
    """A block that reads a raster, while another may be written: what goes wrong is said of this one, by ValueError."""
    from rasterio.errors import RasterioError
    try:
        yield
    except RasterioError as error:
        raise ValueError(f'{printable(path)} cannot be read as a raster: {_line(error)}; give the whole file, or leave '
                         'it out') from None


@contextmanager
def new_geotiff(path: str, **profile) -> Iterator[Any]:
    """A GeoTIFF of bytes that is written into the block, compressed without loss and in tiles.

    Args:
        profile: of ``rasterio.open``: ``width``, ``height``, ``count``, ``crs``, ``transform`` and others.

    Raises:
        OSError: the file cannot be written, as on a full disk.
    """
    import rasterio
    from rasterio.errors import RasterioError
    check_utf8(path, 'GDAL')
    os.makedirs(osp.dirname(path) or '.', exist_ok=True)
    try:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(
                path, 'w', driver='GTiff', dtype='uint8', compress='deflate', tiled=True, blockxsize=_TILE,
                blockysize=_TILE, bigtiff='IF_SAFER', **profile) as raster:
            yield raster
        _read_all(path)
    except RasterioError as error:
        raise OSError(errno.EIO, f'it cannot be written ({_line(error)})', path) from None


def _read_all(path: str) -> None:
    """Raise RasterioError unless a file is whole: what GDAL writes last may fail without a word, as on a full disk."""
    with _opened(path, 'GTiff') as raster:
        for _, window in raster.block_windows(1):
            raster.read(window=window)
            raster.dataset_mask(window=window)


def _driver_of(path: str) -> str:
    with open(path, 'rb') as file:
        start = file.read(8)
    for first, driver in _DRIVERS.items():
        if start.startswith(first):
            return driver
    raise ValueError(f'{printable(path)} is no raster, which is a GeoTIFF, JPEG 2000, JPEG or PNG: convert it '
                     '(gdal_translate), or leave it out')


def _line(error: Exception) -> str:
    """What GDAL says, which may be the cause of the error."""
    return ' '.join(str(error.__cause__ or error).split()).rstrip('.')
