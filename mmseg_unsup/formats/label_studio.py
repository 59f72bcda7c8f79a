"""Label Studio: tasks with predictions as JSON (https://labelstud.io/guide/predictions)."""
import os.path as osp
from contextlib import contextmanager
from typing import Iterator, List, Optional
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import quoteattr

import numpy as np

from ..utils.atomic import write_text
from ..utils.console import size_text
from ..utils.paths import printable
from .job import Add, Drawn, Job, json_items, plain, slashes
from .parsing import get, named
from .regions import Region
from .shapes import Annotated, Mask, Polygon, Shape, Size, polygon_of, scaled

_LOCAL = '/data/local-files/?d='
_NOTHING_DRAWN = ('choices', 'textarea', 'rating', 'relation')


@contextmanager
def writing(job: Job) -> Iterator[Add]:
    """``label_studio.json``, a task for every image whose prediction has a polygon for every connected region, and
    ``label_studio.xml``, the labelling interface that it belongs to."""
    with json_items(osp.join(job.out, 'label_studio.json')) as add:
        yield lambda drawn: add(_task(drawn, job))
    labels = ''.join(f'    <Label value={quoteattr(name)} background="{job.hex_color(c)}"/>\n'
                     for c, name in enumerate(job.names))
    tools = ''.join(f'  <{tool} name="{name}" toName="image">\n{labels}  </{tool}>\n'
                    for tool, name in (('PolygonLabels', 'polygon'), ('BrushLabels', 'brush')))
    write_text(osp.join(job.out, 'label_studio.xml'),
               f'<View>\n  <Image name="image" value="$image" zoom="true"/>\n{tools}</View>\n')


def _task(drawn: Drawn, job: Job) -> dict:
    name = printable(slashes(drawn.name))
    height, width = drawn.ids.shape
    result = [dict(id=f'region{i}', type='polygonlabels', from_name='polygon', to_name='image', image_rotation=0,
                   original_width=width, original_height=height, value=_value(region, width, height, job))
              for i, region in enumerate(drawn.regions)]
    return dict(id=drawn.number, data=dict(image=_LOCAL + quote(name), name=name),
                predictions=[dict(model_version='mmseg_unsup', result=result)])


def _value(region: Region, width: int, height: int, job: Job) -> dict:
    percent = plain(region.ring * (100 / width, 100 / height), 4)
    return dict(points=[*zip(percent[::2], percent[1::2])], closed=True, polygonlabels=[job.names[region.class_id]])


def read(path: str, content: list) -> List[Annotated]:
    """What an export as JSON says: the last annotation of a task that was not cancelled, else its first prediction;
    tasks with neither are left out.

    Raises:
        ValueError: what is no such file; areas of one image are in several sizes; from its shapes, another kind of
            shape, or one that encloses no area.
    """
    found = (_read_task(task, path) for task in content)
    return [annotated for annotated in found if annotated is not None]


def _read_task(task: dict, path: str) -> Optional[Annotated]:
    data = get(task, 'data', dict, path)
    name = data.get('name')
    name = name if isinstance(name, str) and name else _name_of(str(data.get('image', '')))
    finished = [one for one in task.get('annotations') or [] if not one.get('was_cancelled')]
    kept = finished[-1:] or (task.get('predictions') or [])[:1]
    if not kept:
        return None
    where = named(path, name)
    areas = [item for item in get(kept[0], 'result', list, where) if item.get('type') not in _NOTHING_DRAWN]
    sizes = {(get(item, 'original_height', int, where), get(item, 'original_width', int, where)) for item in areas}
    if len(sizes) > 1:
        raise ValueError(f'{where} has areas in images of {len(sizes)} sizes: draw those anew that are of another')
    return Annotated(path, name, next(iter(sizes), None),
                     lambda size: (_read_shape(item, size, where) for item in areas), is_draft=not finished)


def _name_of(address: str) -> str:
    """The name of an image by its address: of a local file below the root of those, of an upload without the digits
    that Label Studio puts before it."""
    parts = urlsplit(address)
    local = parse_qs(parts.query).get('d')
    if local:
        return local[0]
    name = unquote(osp.basename(parts.path))
    start, dash, rest = name.partition('-')
    return rest if dash and len(start) == 8 and '/upload/' in parts.path else name


def _read_shape(item: dict, size: Size, where: str) -> Shape:
    kind = item.get('type')
    if kind not in _READERS:
        raise ValueError(f'{where} has a result of type {kind!r}, which is no area: draw a polygon or use the brush')
    value = get(item, 'value', dict, where)
    labels = get(value, kind, list, where)
    if len(labels) != 1 or item.get('image_rotation'):
        raise ValueError(f'{where} has an area with the labels {labels!r}, turned by {item.get("image_rotation", 0)} '
                         'degrees: give it one label, in an image that is not turned')
    return _READERS[kind](value, labels[0], size, where)


def _read_polygon(value: dict, label: str, size: Size, where: str) -> Polygon:
    return scaled(polygon_of(label, get(value, 'points', list, where), where), (size[1] / 100, size[0] / 100))


def _read_rectangle(value: dict, label: str, size: Size, where: str) -> Polygon:
    left, top, width, height = (get(value, key, (int, float), where) for key in ('x', 'y', 'width', 'height'))
    if value.get('rotation'):
        raise ValueError(f'{where} has a rotated rectangle of {label!r}: draw a polygon in its place')
    ring = [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
    return _read_polygon(dict(points=ring), label, size, where)


def _read_brush(value: dict, label: str, size: Size, where: str) -> Mask:
    try:
        values = decode_brush(bytes(get(value, 'rle', list, where)), 4 * size[0] * size[1])
    except (ValueError, TypeError, IndexError):
        raise ValueError(f'{where} has a brush mask of {label!r} that is none of an image of {size_text(size)} '
                         'pixels: export the file anew') from None
    return Mask(label, values.reshape(*size, 4)[..., 3] > 0)


_READERS = dict(polygonlabels=_read_polygon, rectanglelabels=_read_rectangle, brushlabels=_read_brush)


def decode_brush(content: bytes, n_expected: int) -> np.ndarray:
    """So many values, uint8, of a brush mask: Label Studio's form of the run lengths of thi.ng/rle-pack.

    A head of 53 bits: how many values there are, the bits of a value less 1, and four times the bits of a count less 1.
    Then blocks: a bit for a run, which of the four sizes its count less 1 has, the count, and one value for a run, else
    all values.

    Raises:
        ValueError, IndexError: it has another number of values, or breaks off.
    """
    bits = ''.join(f'{byte:08b}' for byte in content)
    place = 0

    def take(n: int) -> int:
        nonlocal place
        place += n
        if place > len(bits):
            raise IndexError('the mask breaks off')
        return int(bits[place - n:place], 2)

    n_values, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    if n_values != n_expected:
        raise ValueError(f'the mask has {n_values} values, not {n_expected}')
    values = bytearray()
    while len(values) < n_values:
        is_run = take(1)
        count = take(sizes[take(2)]) + 1
        values += bytes([take(word)]) * count if is_run else bytes(take(word) for _ in range(count))
    return np.frombuffer(values, np.uint8, n_expected)
