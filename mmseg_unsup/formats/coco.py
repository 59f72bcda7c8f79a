"""COCO JSON: instances as run lengths or polygons (https://cocodataset.org/#format-data)."""
import os.path as osp
from contextlib import contextmanager
from typing import Dict, Iterator, List, Tuple, Union

import numpy as np

from ..utils.paths import printable
from .job import Add, Drawn, Job, as_json, json_items, plain, slashes
from .parsing import get, named
from .regions import Region
from .shapes import Annotated, Mask, Polygon, encoded, polygon_of


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
    runs = encoded(pixels)
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
        ValueError: what is no such file; an annotation of an image or category that is not in it, or without an area.
    """
    categories = {get(item, 'id', int, path): get(item, 'name', str, path)
                  for item in get(content, 'categories', list, path)}
    images: Dict[int, Annotated] = {}
    for item in get(content, 'images', list, path):
        size = get(item, 'height', int, path), get(item, 'width', int, path)
        images[get(item, 'id', int, path)] = Annotated(get(item, 'file_name', str, path), size, [])
    for item in get(content, 'annotations', list, path):
        image = images.get(get(item, 'image_id', int, path))
        category = categories.get(get(item, 'category_id', int, path))
        if image is None or category is None:
            raise ValueError(f'{printable(path)} has an annotation of the image {item["image_id"]} and the category '
                             f'{item["category_id"]}, of which one is not listed there: export the file anew')
        image.shapes.extend(_shapes_of(category, item.get('segmentation'), image, named(path, image.name)))
    return [*images.values()]


def _shapes_of(label: str, segmentation, image: Annotated, where: str) -> List[Union[Polygon, Mask]]:
    if isinstance(segmentation, dict):
        return [_mask_of(label, segmentation, image, where)]
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError(f'{where} has an annotation of {label!r} without a segmentation: a box says nothing of '
                         'pixels, export masks or polygons')
    return [polygon_of(label, ring, where) for ring in segmentation]


def _mask_of(label: str, runs: dict, image: Annotated, where: str) -> Mask:
    from pycocotools import mask
    counts, size = runs.get('counts'), [*image.size]
    if runs.get('size') != size:
        raise ValueError(f'{where} has run lengths of {label!r} of size {runs.get("size")}, but height and width are '
                         f'{size}: export the file anew')
    try:
        if isinstance(counts, list):
            if min(counts) < 0 or sum(counts) != size[0] * size[1]:
                raise ValueError
            return Mask(label, mask.frPyObjects(dict(size=size, counts=counts), *size))
        found = Mask(label, dict(size=size, counts=counts))
        mask.decode(found.runs)
        return found
    except (ValueError, TypeError, AttributeError):
        raise ValueError(f'{where} has run lengths of {label!r} that do not make up the image: export the file anew'
                         ) from None
