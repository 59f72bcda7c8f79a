"""GeoTIFFs of class ids, which programs of maps lay over the images (https://docs.ogc.org/is/19-008r4/19-008r4.html).

The names of classes are tags of the file, and for QGIS, which shows them beside the colours, in a file of GDAL beside
it (``PAMDataset``, https://gdal.org/user/raster_data_model.html).
"""
import os.path as osp
import re
from contextlib import contextmanager
from typing import Dict, Iterator, List, Sequence
from xml.sax.saxutils import escape

import numpy as np

from ..datasets.image_files import mark_output
from ..utils.atomic import replacing, write_text
from ..utils.console import size_text
from ..utils.paths import printable
from .job import Add, Drawn, Job
from .parsing import files_below
from .raster_files import new_geotiff, open_raster
from .shapes import Annotated, Mask, masks_of
from .table import FORMATS, file_of

VOID = 255
SUFFIX = FORMATS['geotiff'].suffix
_TAG = re.compile(r'class_(\d+)')
_NAMES = """<PAMDataset>
 <PAMRasterBand band="1">
  <CategoryNames>
{}  </CategoryNames>
 </PAMRasterBand>
</PAMDataset>
"""


def check(root: str, images: Sequence[str]) -> None:
    """Raise ValueError if an image below ``root`` is no raster, or has no coordinates."""
    for image in images:
        with open_raster(osp.join(root, image)) as raster:
            if raster.transform.is_identity:
                raise ValueError(f'the format geotiff needs images with coordinates, and {printable(image)} has none: '
                                 'choose another format, or give it some (gdal_translate -a_srs and -a_ullr)')


@contextmanager
def writing(job: Job) -> Iterator[Add]:
    """Below ``geotiff`` a map per image with its size, transform and reference system: 8-bit class ids, their colours
    and names, and 255 for void, as for places where the image has no data."""
    folder = osp.join(job.out, 'geotiff')
    mark_output(folder)
    yield lambda drawn: _write_image(drawn, folder, job)


def _write_image(drawn: Drawn, folder: str, job: Job) -> None:
    path = osp.join(folder, file_of('geotiff', drawn.name))
    with open_raster(osp.join(job.root, drawn.name)) as raster:
        if raster.shape != drawn.ids.shape:
            raise ValueError(f'{printable(drawn.name)} has {size_text(raster.shape)} pixels on the map, but its '
                             f'picture {size_text(drawn.ids.shape)}: it says that it is turned, or it '
                             'was replaced; write it anew, and make the maps anew')
        place = dict(crs=raster.crs, transform=raster.transform)
        is_void = (drawn.ids >= len(job.names)) | (raster.dataset_mask() == 0)
    ids = np.where(is_void, VOID, drawn.ids).astype(np.uint8)
    with replacing(path, flush=False) as part, new_geotiff(
            part, count=1, height=ids.shape[0], width=ids.shape[1], nodata=VOID, **place) as target:
        target.write_colormap(1, {c: tuple(color) for c, color in enumerate(job.palette.tolist())})
        target.update_tags(**{f'class_{c}': name for c, name in enumerate(job.names)})
        target.write(ids, 1)
    write_text(path + FORMATS['geotiff'].beside, _NAMES.format(''.join(
        f'   <Category>{escape(name)}</Category>\n' for name in job.names)))


def read(folder: str) -> List[Annotated]:
    """What the GeoTIFFs below a folder say; images are called ``NAME.*``.

    Raises:
        ValueError: a file cannot be read, has several bands or no names of classes; from its shapes, a value has none.
    """
    return [_read_map(path, f'{osp.relpath(path, folder).removesuffix(SUFFIX)}.*')
            for path in files_below(folder, SUFFIX)]


def _read_map(path: str, name: str) -> Annotated:
    with open_raster(path) as raster:
        names = _names(raster.tags())
        if raster.count != 1 or raster.dtypes[0] != 'uint8' or not names:
            raise ValueError(f'{printable(path)} is no map of classes, which has one band of 8 bits and the tags '
                             'class_0, class_1 and so on: write it as a copy of the map that was made')
        return Annotated(path, name, raster.shape, lambda size: _masks(path, names))


def _masks(path: str, names: Dict[int, str]) -> Iterator[Mask]:
    with open_raster(path) as raster:
        return masks_of(raster.read(1), names, VOID, path, 'its tags do')


def _names(tags: Dict[str, str]) -> Dict[int, str]:
    found = ((_TAG.fullmatch(key), value) for key, value in tags.items())
    return {int(match[1]): value for match, value in found if match}
