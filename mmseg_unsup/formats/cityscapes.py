"""PNG maps named as those of Cityscapes (https://github.com/mcordts/cityscapesScripts)."""
import os.path as osp
from contextlib import contextmanager
from typing import Iterator, List

import numpy as np

from ..datasets.image_files import mark_output
from ..datasets.pictures import map_shape, read_indexed, write_picture
from ..utils.atomic import writing_last
from .job import Add, Drawn, Job, as_json
from .parsing import files_below, get, load_json
from .shapes import Annotated, masks_of
from .table import FORMATS, file_of

VOID = 255
IDS, _COLOR, _LABELS = FORMATS['cityscapes'].suffix, '_gtFine_color.png', 'labels.json'


@contextmanager
def writing(job: Job) -> Iterator[Add]:
    """Below ``cityscapes`` two PNGs per image, of 8-bit class ids with 255 for void and of colours, and ``labels.json``
    with id, name and colour of the classes."""
    folder = osp.join(job.out, 'cityscapes')
    mark_output(folder)
    labels = [dict(id=c, name=name, color=job.palette[c].tolist()) for c, name in enumerate(job.names)]
    with writing_last(osp.join(folder, _LABELS), as_json(labels)):
        yield lambda drawn: _write_image(drawn, folder, job.palette)


def _write_image(drawn: Drawn, folder: str, palette: np.ndarray) -> None:
    path = osp.join(folder, file_of('cityscapes', drawn.name))
    ids = np.where(drawn.ids < len(palette), drawn.ids, VOID).astype(np.uint8)
    colors = np.zeros((VOID + 1, 3), np.uint8)
    colors[:len(palette)] = palette
    write_picture(path, ids)
    write_picture(path.removesuffix(IDS) + _COLOR, colors[ids])


def read(folder: str) -> List[Annotated]:
    """What the maps of ids below a folder with a ``labels.json`` say; images are called ``NAME.*``.

    Raises:
        ValueError: a file cannot be read; from its shapes, a value is not in ``labels.json``, or a map has several
            channels.
    """
    path = osp.join(folder, _LABELS)
    names = {get(item, 'id', int, path): get(item, 'name', str, path) for item in load_json(path)}
    return [_read_map(path, osp.relpath(path, folder).removesuffix(IDS), names) for path in files_below(folder, IDS)]


def _read_map(path: str, name: str, names: dict) -> Annotated:
    return Annotated(path, f'{name}.*', map_shape(path), lambda size: masks_of(
        read_indexed(path), names, VOID, path, f'{_LABELS} does'))
