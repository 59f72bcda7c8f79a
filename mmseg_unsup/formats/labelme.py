"""LabelMe: a JSON file per image (https://github.com/wkentaro/labelme)."""
import base64
import io
import os
import os.path as osp
from contextlib import contextmanager
from functools import partial
from typing import Iterator, List

import numpy as np
from PIL import Image

from ..utils.atomic import replacing
from ..utils.paths import printable
from .job import Add, Drawn, Job, as_json, plain, slashes
from .parsing import files_below, get, load_json, named
from .shapes import Annotated, Mask, Shape, Size, check_inside, points_of, polygon_of
from .table import file_of

_VERSION = '5.5.0'  # of LabelMe, whose files later ones read


@contextmanager
def writing(job: Job) -> Iterator[Add]:
    """Below ``labelme`` a file per image with a polygon for every connected region, which names the image by its path
    from there."""
    yield lambda drawn: _write_image(drawn, job)


def _write_image(drawn: Drawn, job: Job) -> None:
    path = osp.join(job.out, 'labelme', file_of('labelme', drawn.name))
    height, width = drawn.ids.shape
    shapes = []
    for region in drawn.regions:
        numbers = plain(region.ring)
        shapes.append(dict(label=job.names[region.class_id], points=[*zip(numbers[::2], numbers[1::2])], group_id=None,
                           description='', shape_type='polygon', flags={}, mask=None))
    image = osp.relpath(osp.realpath(osp.join(job.root, drawn.name)), osp.realpath(osp.dirname(path)))
    os.makedirs(osp.dirname(path), exist_ok=True)
    content = dict(version=_VERSION, flags={}, shapes=shapes, imagePath=printable(slashes(image)), imageData=None,
                   imageHeight=height, imageWidth=width)
    with replacing(path, flush=False) as part, open(part, 'w', encoding='utf-8') as file:
        file.write(as_json(content))


def read(folder: str) -> List[Annotated]:
    """What the files below a folder say; images are called ``NAME.*``.

    Raises:
        ValueError: what is no such file; from its shapes, another kind of shape, or one that encloses no area.
    """
    return [_read_image(path, osp.relpath(path, folder).removesuffix('.json'))
            for path in files_below(folder, '.json')]


def _read_image(path: str, name: str) -> Annotated:
    content, where = load_json(path), named(path, name)
    size = get(content, 'imageHeight', int, where), get(content, 'imageWidth', int, where)
    return Annotated(path, f'{name}.*', size, partial(_read_shapes, path, where))


def _read_shapes(path: str, where: str, size: Size) -> Iterator[Shape]:
    for shape in get(load_json(path), 'shapes', list, where):
        yield _read_shape(shape, size, where)


def _read_shape(shape: dict, size: Size, where: str) -> Shape:
    label, points = get(shape, 'label', str, where), get(shape, 'points', list, where)
    kind = shape.get('shape_type') or 'polygon'
    if kind not in ('polygon', 'rectangle', 'mask'):
        raise ValueError(f'{where} has a shape {kind!r} of {label!r}, which is no area: draw a polygon in its place')
    if kind == 'polygon':
        return polygon_of(label, points, where)
    corners = points_of(label, points, where)
    if len(corners) != 2:
        raise ValueError(f'{where} has a {kind} of {label!r} with {len(corners)} corners, and it takes two: mend or '
                         'remove it')
    if kind == 'rectangle':
        (left, top), (right, bottom) = corners
        return polygon_of(label, [(left, top), (right, top), (right, bottom), (left, bottom)], where)
    return _read_mask(label, get(shape, 'mask', str, where), *map(int, corners.min(0)), size, where)


def _read_mask(label: str, text: str, left: int, top: int, size: Size, where: str) -> Mask:
    with _decoding(label, where):
        image = Image.open(io.BytesIO(base64.b64decode(text)), formats=['PNG'])  # no more than its header
    check_inside(label, image.size[::-1], left, top, size, where)
    with _decoding(label, where):
        return Mask(label, np.asarray(image.convert('L')) > 0, (left, top))


@contextmanager
def _decoding(label: str, where: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise ValueError(f'{where} has a mask of {label!r} that is no PNG: draw it again') from None
