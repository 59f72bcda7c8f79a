"""CVAT for images 1.1: XML with polygons (https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/)."""
import os.path as osp
import re
from contextlib import contextmanager
from typing import Any, Callable, Iterator, List, Sequence
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from ..utils.atomic import replacing, write_json
from ..utils.paths import printable
from .job import Add, Drawn, Job, plain, slashes
from .parsing import load_xml, named
from .regions import Region
from .shapes import Annotated, Mask, Polygon, Shape, Size, check_inside, pixels_of_runs, polygon_of

_NOT_IN_XML = re.compile('[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')
_LEFT_OUT = ('tag', )  # of a whole image


def check(root: str, images: Sequence[str]) -> None:
    """Raise ValueError if the name of an image has a character that XML has not."""
    for image in images:
        if _NOT_IN_XML.search(printable(image)):
            raise ValueError(f'the format cvat, which is XML, cannot hold the name {printable(image)!r}: rename the '
                             'image, or choose another format')


@contextmanager
def writing(job: Job) -> Iterator[Add]:
    """``cvat.xml`` with a polygon for every connected region, and ``cvat_labels.json``, which the raw tab of the labels
    of a task takes."""
    labels = [(name, job.hex_color(c)) for c, name in enumerate(job.names)]
    with replacing(osp.join(job.out, 'cvat.xml')) as part, open(part, 'w', encoding='utf-8') as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
                   '<meta><task><labels>\n')
        for name, color in labels:
            file.write(f'<label><name>{escape(name)}</name><color>{color}</color><attributes></attributes></label>\n')
        file.write('</labels></task></meta>\n')
        yield lambda drawn: file.write(_image(drawn, job))
        file.write('</annotations>\n')
    write_json(osp.join(job.out, 'cvat_labels.json'),
               [dict(name=name, color=color, attributes=[]) for name, color in labels])


def _image(drawn: Drawn, job: Job) -> str:
    height, width = drawn.ids.shape
    name = quoteattr(printable(slashes(drawn.name)))
    polygons = ''.join(_polygon(region, job.names[region.class_id]) for region in drawn.regions)
    return f'<image id="{drawn.number - 1}" name={name} width="{width}" height="{height}">\n{polygons}</image>\n'


def _polygon(region: Region, label: str) -> str:
    numbers = plain(region.ring)
    points = ';'.join(f'{x},{y}' for x, y in zip(numbers[::2], numbers[1::2]))
    return f'<polygon label={quoteattr(label)} source="auto" occluded="0" points="{points}" z_order="0"/>\n'


def read(path: str) -> List[Annotated]:
    """What a file says: polygons, boxes and masks, those of a higher layer above the others.

    Raises:
        ValueError: what is no such file; from its shapes, another kind of shape, or one that encloses no area.
    """
    root = load_xml(path)
    if root.tag != 'annotations' or root.find('track') is not None:
        raise ValueError(f'{printable(path)} is no file of CVAT for images, whose root is <annotations> and which has '
                         'no tracks: export the task as "CVAT for images 1.1"')
    return [_read_image(image, path) for image in root.iter('image')]


def _read_image(image: Element, path: str) -> Annotated:
    name = image.get('name', '')
    where = named(path, name)
    try:
        size = int(image.get('height', '')), int(image.get('width', ''))
        shapes = sorted((shape for shape in image if shape.tag not in _LEFT_OUT),
                        key=lambda shape: int(shape.get('z_order', 0)))
    except ValueError:
        raise ValueError(f'{where} has width, height or z_order that are no whole numbers: export the file anew'
                         ) from None
    return Annotated(path, name, size, lambda size: (_read_shape(shape, size, where) for shape in shapes))


def _read_shape(shape: Element, size: Size, where: str) -> Shape:
    label = shape.get('label', '')
    if shape.tag not in _READERS:
        raise ValueError(f'{where} has a shape {shape.tag!r} of {label!r}, which is no area: draw a polygon or a mask '
                         'in its place')
    return _READERS[shape.tag](shape, label, size, where)


def _read_polygon(shape: Element, label: str, size: Size, where: str) -> Polygon:
    points = _values(shape, ['points'], str, label, where)[0]
    return polygon_of(label, [point.split(',') for point in points.split(';')], where)


def _read_box(shape: Element, label: str, size: Size, where: str) -> Polygon:
    left, top, right, bottom = _values(shape, ['xtl', 'ytl', 'xbr', 'ybr'], float, label, where)
    if any(_values(shape, {'rotation'} & {*shape.attrib}, float, label, where)):
        raise ValueError(f'{where} has a rotated box of {label!r}: draw a polygon or a mask in its place')
    return polygon_of(label, [(left, top), (right, top), (right, bottom), (left, bottom)], where)


def _read_mask(shape: Element, label: str, size: Size, where: str) -> Mask:
    left, top, width, height = _values(shape, ['left', 'top', 'width', 'height'], int, label, where)
    check_inside(label, (height, width), left, top, size, where)
    runs = _values(shape, ['rle'], _numbers, label, where)[0]  # of the rows, the first one is outside
    try:
        return Mask(label, pixels_of_runs(runs, (height, width), 'C'), (left, top))
    except ValueError as error:
        raise ValueError(f'{where} has a mask of {label!r}: {error}, export the file anew') from None


def _numbers(text: str) -> List[int]:
    return [*map(int, text.split(','))]


def _values(shape: Element, keys: Sequence[str], kind: Callable[[str], Any], label: str, where: str) -> list:
    try:
        return [kind(shape.attrib[key]) for key in keys]
    except (KeyError, ValueError):
        raise ValueError(f'{where} has a {shape.tag} of {label!r} that lacks a value of {", ".join(keys)}, or has '
                         'another there than a number: export the file anew') from None


_READERS = dict(polygon=_read_polygon, box=_read_box, mask=_read_mask)
