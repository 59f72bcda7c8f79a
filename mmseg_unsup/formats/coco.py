"""COCO JSON: instances as run lengths or polygons (https://cocodataset.org/#format-data)."""
import os.path as osp
from contextlib import contextmanager
from functools import partial
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np

from ..utils.paths import printable
from .job import Add, Drawn, Job, as_json, json_items, plain, slashes
from .parsing import get, named
from .regions import Region
from .shapes import Annotated, Mask, Shape, Size, pixels_of_runs, polygon_of


@contextmanager
def writing_runs(job: Job) -> Iterator[Add]:
    """``coco.json``: an annotation for every class of an image, with its pixels as compressed run lengths."""
    with _writing(job, 'coco.json') as add_image:
        yield lambda drawn: add_image(drawn, map(_runs_of, *_masks_of(drawn, len(job.names))))


@contextmanager
def writing_polygons(job: Job) -> Iterator[Add]:
    """``coco_polygons.json``: an annotation with one polygon for every connected region."""
    with _writing(job, 'coco_polygons.json') as add_image:
        yield lambda drawn: add_image(drawn, map(_polygon_of, drawn.regions))


@contextmanager
def _writing(job: Job, file: str):
    categories = [dict(id=c, name=name, supercategory='', color=job.hex_color(c - 1))
                  for c, name in enumerate(job.names, start=1)]
    images, n_annotations = [], 0

    def add_image(drawn: Drawn, annotations) -> None:
        nonlocal n_annotations
        height, width = drawn.ids.shape
        images.append(dict(id=drawn.number, file_name=printable(slashes(drawn.name)), height=height, width=width))
        for annotation in annotations:
            n_annotations += 1
            add(dict(id=n_annotations, image_id=drawn.number, iscrowd=0, **annotation))

    with json_items(osp.join(job.out, file), f'{{"categories":{as_json(categories)},\n"annotations":[\n',
                    lambda: f'],\n"images":{as_json(images)}}}') as add:
        yield add_image


def _masks_of(drawn: Drawn, n_classes: int) -> Tuple[List[int], List[np.ndarray]]:
    found = [c for c in np.unique(drawn.ids).tolist() if c < n_classes]
    return found, [drawn.ids == c for c in found]


def _runs_of(class_id: int, pixels: np.ndarray) -> dict:
    from pycocotools import mask
    runs = mask.encode(np.asfortranarray(pixels, np.uint8))
    segmentation = dict(size=[int(side) for side in runs['size']], counts=runs['counts'].decode())
    return dict(category_id=class_id + 1, area=int(mask.area(runs)), bbox=plain(mask.toBbox(runs)),
                segmentation=segmentation)


def _polygon_of(region: Region) -> dict:
    low, high = region.ring.min(0), region.ring.max(0)
    return dict(category_id=region.class_id + 1, area=region.area, bbox=plain(np.concatenate([low, high - low])),
                segmentation=[plain(region.ring)])


def read(path: str, content: dict) -> List[Annotated]:
    """What a COCO file says, each image with the annotations in their order.

    Raises:
        ValueError: what is no such file; an annotation of an image or category that is not in it; from its shapes, one
            without an area.
    """
    categories, images = _by_id(content, 'categories', path), _by_id(content, 'images', path)
    labels = {number: get(item, 'name', str, path) for number, item in categories.items()}
    found: Dict[int, List[Tuple[str, Any]]] = {number: [] for number in images}
    for item in get(content, 'annotations', list, path):
        image, category = get(item, 'image_id', int, path), get(item, 'category_id', int, path)
        if image not in images or category not in categories:
            raise ValueError(f'{printable(path)} has an annotation of the image {image} and the category {category}, '
                             'of which one is not listed there: export the file anew')
        found[image].append((labels[category], item.get('segmentation')))
    return [_read_image(item, found[number], path) for number, item in images.items()]


def _by_id(content: dict, key: str, path: str) -> Dict[int, dict]:
    """The items of a list by their numbers."""
    items = get(content, key, list, path)
    found = {get(item, 'id', int, path): item for item in items}
    if len(found) < len(items):
        raise ValueError(f'{printable(path)} has two {key} of one id: export the file anew')
    return found


def _read_image(item: dict, drawn: List[Tuple[str, Any]], path: str) -> Annotated:
    name = get(item, 'file_name', str, path)
    size = get(item, 'height', int, path), get(item, 'width', int, path)
    return Annotated(path, name, size, partial(_read_shapes, drawn, named(path, name)))


def _read_shapes(drawn: List[Tuple[str, Any]], where: str, size: Size) -> Iterator[Shape]:
    for label, segmentation in drawn:
        if isinstance(segmentation, dict):
            yield _mask_of(label, segmentation, size, where)
        elif isinstance(segmentation, list) and segmentation:
            yield from (polygon_of(label, ring, where) for ring in segmentation)
        else:
            raise ValueError(f'{where} has an annotation of {label!r} without a segmentation: a box says nothing of '
                             'pixels, export masks or polygons')


def _mask_of(label: str, runs: dict, size: Size, where: str) -> Mask:
    if runs.get('size') != [*size]:
        raise ValueError(f'{where} has run lengths of {label!r} of size {runs.get("size")}, but height and width are '
                         f'{[*size]}: export the file anew')
    counts = get(runs, 'counts', (list, str), where)
    try:
        return Mask(label, pixels_of_runs(decode_runs(counts) if isinstance(counts, str) else counts, size, 'F'))
    except ValueError:
        raise ValueError(f'{where} has run lengths of {label!r} that do not make up the image: export the file anew'
                         ) from None


def decode_runs(text: str) -> List[int]:
    """Run lengths of compressed ones, as ``rleFrString`` of pycocotools has them (its ``maskApi.c``).

    A character less 48 has five bits of a number, the lowest ones first, a bit that says that others follow, and in its
    last character the fifth bit of the five is the sign. From the fourth number on it is a run less the one before the
    last.

    Raises:
        ValueError: it breaks off, has another character, or a number of more than 64 bits.
    """
    runs, number, place = [], 0, 0
    for character in text:
        bits = ord(character) - ord('0')
        if not 0 <= bits < 64 or place > 60:
            raise ValueError(f'{text!r:.60} are no run lengths of COCO')
        number |= (bits & 31) << place
        place += 5
        if not bits & 32:
            signed = number - (1 << place if bits & 16 else 0)
            runs.append(signed + (runs[-2] if len(runs) > 2 else 0))
            number = place = 0
    if place:
        raise ValueError('the run lengths break off')
    return runs
