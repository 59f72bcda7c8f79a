"""Rasters of any bands and numbers as pictures that keep their coordinates."""
import os
import os.path as osp
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ..datasets.image_files import check_folder, walk_files
from ..formats.raster_files import NEEDS, new_geotiff, open_raster, reading
from ..formats.table import check_packages
from ..utils.atomic import replacing
from ..utils.paths import is_outside, path_remedy, printable
from ..utils.progress import track_progress
from .own_folder import own_folder

SUFFIXES = ('.tif', '.tiff', '.jp2')
RECORD = 'rasters.json'
_ROWS = 512  # that are in memory at a time
_SEEN = 512  # columns and rows of a raster that a range is guessed by
_PERCENTILES = (2, 98)
_COLOURS = {1: 'MINISBLACK', 3: 'RGB'}  # number of bands -> how they are marked
Box = Tuple[slice, slice]


class Rule(NamedTuple):
    """How rasters become pictures.

    Attributes:
        bands: one or three, red, green and blue, counted from 1; None for those of a raster of one or three.
        limits: values that become 0 and 255; None for those of 8 bits as they are.
        cut: most columns and rows of a picture; None for any.
    """
    bands: Optional[Sequence[int]] = None
    limits: Optional[Tuple[float, float]] = None
    cut: Optional[int] = None


def convert_rasters(source: str, out: str, rule: Rule) -> Tuple[int, int]:
    """Write rasters as GeoTIFFs of 8 bits, below ``out`` as they lie below ``source``; the same call again goes on.

    Args:
        source: a raster, or a folder of such.

    Returns:
        how many pictures there are, and how many were left out, as they had no value.

    Raises:
        ImportError: rasterio, the extra ``geo``, is missing.
        FileNotFoundError: there is no such file or folder.
        ValueError: no raster; one that the rule does not fit, which is said of all before any is written; ``out`` has
            other files, or lies in ``source``.
    """
    check_packages(NEEDS, 'reading rasters')
    names = _names(source, out)
    root = source if osp.isdir(source) else osp.dirname(source)
    jobs = [job for name in names for job in _jobs(osp.join(root, name), osp.splitext(name)[0], rule)]
    own_folder(out, RECORD, dict(source=osp.realpath(source), bands=rule.bands, range=rule.limits, cut=rule.cut))
    n_written = 0
    with track_progress('pictures', len(jobs)) as advance:
        for path, name, bands, box in jobs:
            target = osp.join(out, name)
            n_written += osp.exists(target) or _write(path, target, bands, box, rule.limits)
            advance(1)
    return n_written, len(jobs) - n_written


def _names(source: str, out: str) -> List[str]:
    """Of the rasters below a folder, or of one."""
    if osp.isfile(source):
        return [osp.basename(source)]
    check_folder(source, path_remedy(source))
    if not is_outside(osp.realpath(out), osp.realpath(source)):
        raise ValueError(f'{printable(out)} lies in the folder of the rasters, which would be read again from there: '
                         'give a folder elsewhere')
    names = [osp.relpath(path, source) for path in walk_files(source) if path.lower().endswith(SUFFIXES)]
    if not names:
        raise ValueError(f'there is no raster below {printable(source)}: expected files ending in '
                         f'{", ".join(SUFFIXES)}')
    stems: Dict[str, str] = {}
    for name in names:
        other = stems.setdefault(osp.splitext(name)[0], name)
        if other != name:
            raise ValueError(f'{printable(other)} and {printable(name)} would have the same picture: rename one of '
                             'them')
    return names


def _jobs(path: str, stem: str, rule: Rule) -> Iterator[Tuple[str, str, Sequence[int], Box]]:
    """Of every picture of a raster its path, the name of the picture, the bands, and rows and columns."""
    with open_raster(path) as raster:
        bands = _bands(raster, path, rule)
        _check_limits(raster, path, bands, rule)
        rows, columns = (_spans(side, rule.cut) for side in raster.shape)
    for row in rows:
        for column in columns:
            place = '' if rule.cut is None else f'_{row.start:05d}_{column.start:05d}'
            yield path, f'{stem}{place}.tif', bands, (row, column)


def _bands(raster: Any, path: str, rule: Rule) -> Sequence[int]:
    if rule.bands is not None:
        if max(rule.bands) > raster.count:
            raise ValueError(f'{printable(path)} has {raster.count} bands, and no band {max(rule.bands)}: give other '
                             '--bands')
        return rule.bands
    bands = [band for band, kind in zip(raster.indexes, raster.colorinterp) if kind.name != 'alpha']
    if len(bands) not in (1, 3):
        raise ValueError(f'{printable(path)} has {len(bands)} bands: say which are red, green and blue, as by --bands '
                         '3 2 1, or give one')
    return bands


def _check_limits(raster: Any, path: str, bands: Sequence[int], rule: Rule) -> None:
    kinds = {raster.dtypes[band - 1] for band in bands}
    if any(kind.startswith('complex') for kind in kinds):
        raise ValueError(f'{printable(path)} has complex numbers: convert them (gdal_calc), or leave it out')
    if rule.limits is None and kinds != {'uint8'}:
        raise ValueError(f'{printable(path)} has values of {", ".join(sorted(kinds))}: say which of them become black '
                         f'and white{_guessed_limits(raster, bands)}')


def _guessed_limits(raster: Any, bands: Sequence[int]) -> str:
    """Option that leaves out the darkest and the brightest places, which is what programs of maps show."""
    shape = len(bands), min(_SEEN, raster.height), min(_SEEN, raster.width)
    values = raster.read(bands, out_shape=shape, masked=True).compressed()
    values = values[np.isfinite(values)]
    if not values.size:
        return ' (--range LOW HIGH)'
    low, high = np.percentile(values, _PERCENTILES)
    return (f', for all files alike; of the values of this one {_PERCENTILES[0]} % lie below and above --range '
            f'{low:.4g} {high:.4g}')


def _spans(length: int, cut: Optional[int]) -> List[slice]:
    """Parts of a side that are as long as each other, but for a pixel, and at most ``cut``."""
    n_parts = -(-length // (cut or length))
    ends = [round(i * length / n_parts) for i in range(n_parts + 1)]
    return [slice(start, end) for start, end in zip(ends, ends[1:])]


def _write(path: str, target: str, bands: Sequence[int], box: Box, limits: Optional[Tuple[float, float]]) -> bool:
    """Write a part of a raster as a picture; False if it has no value there."""
    from rasterio.enums import MaskFlags
    width, height = (part.stop - part.start for part in reversed(box))
    strips = [*_strips(box)]
    with open_raster(path) as raster:
        if not any(raster.dataset_mask(window=source).any() for source, _ in strips):
            return False
        is_whole = all(flags == [MaskFlags.all_valid] for flags in raster.mask_flag_enums)
        os.makedirs(osp.dirname(target) or '.', exist_ok=True)
        with replacing(target, flush=False) as part, new_geotiff(
                part, count=len(bands), width=width, height=height, crs=raster.crs,
                transform=raster.window_transform(strips[0][0]), photometric=_COLOURS[len(bands)]) as picture:
            for source, window in strips:
                with reading(path):
                    mask, values = raster.dataset_mask(window=source), raster.read(list(bands), window=source)
                values = to_bytes(values, limits)
                picture.write(np.where(mask, values, 0).astype(np.uint8), window=window)
                if not is_whole:
                    picture.write_mask(mask, window=window)
    return True


def _strips(box: Box) -> Iterator[Tuple[Any, Any]]:
    """Windows of a few rows of a part of a raster, and where they are in its picture."""
    from rasterio.windows import Window
    rows, columns = box
    for top in range(rows.start, rows.stop, _ROWS):
        size = columns.stop - columns.start, min(_ROWS, rows.stop - top)
        yield Window(columns.start, top, *size), Window(0, top - rows.start, *size)


def to_bytes(values: np.ndarray, limits: Optional[Tuple[float, float]]) -> np.ndarray:
    """Numbers as uint8: ``low`` and less are 0, ``high`` and more 255, those between in proportion; NaN is 0.

    Args:
        limits: low, high; None for uint8 as they are.
    """
    if limits is None:
        return values
    low, high = limits
    shares = np.clip((values.astype(np.float64) - low) / (high - low), 0, 1)
    return np.rint(255 * np.nan_to_num(shares)).astype(np.uint8)
