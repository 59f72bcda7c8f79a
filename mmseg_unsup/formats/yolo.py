"""YOLO segmentation of Ultralytics: a text file per image (https://docs.ultralytics.com/datasets/segment/)."""
import os
import os.path as osp
from contextlib import contextmanager
from typing import Iterator, List

import yaml

from ..utils.atomic import replacing, write_text
from ..utils.paths import printable
from .job import Add, Drawn, Job, as_json, plain
from .parsing import files_below, named
from .shapes import Annotated, polygon_of
from .table import file_of

_SETTINGS, _LABELS = 'data.yaml', 'labels'


@contextmanager
def writing(job: Job) -> Iterator[Add]:
    """``yolo/data.yaml`` and below ``yolo/labels`` a file per image, a line for every connected region: its class and
    the points of its polygon as shares of width and height. The images belong to ``yolo/images``."""
    yield lambda drawn: _write_image(drawn, osp.join(job.out, 'yolo', _LABELS))
    names = ''.join(f'  {c}: {as_json(name)}\n' for c, name in enumerate(job.names))
    write_text(osp.join(job.out, 'yolo', _SETTINGS), f'train: images\nval: images\nnames:\n{names}')


def _write_image(drawn: Drawn, folder: str) -> None:
    height, width = drawn.ids.shape
    path = osp.join(folder, file_of('yolo', drawn.name))
    os.makedirs(osp.dirname(path), exist_ok=True)
    with replacing(path, flush=False) as part, open(part, 'w') as file:
        for region in drawn.regions:
            shares = plain(region.ring / (width, height), 6)
            file.write(f'{" ".join(map(str, (region.class_id, *shares)))}\n')


def read(folder: str) -> List[Annotated]:
    """What the files below ``labels`` of a folder with a ``data.yaml`` say. Their names have no suffix.

    Raises:
        ValueError: what is no such folder; a line that is no polygon of a known class.
    """
    names, labels = _read_names(osp.join(folder, _SETTINGS)), osp.join(folder, _LABELS)
    return [_read_image(path, osp.relpath(path, labels).removesuffix('.txt'), names)
            for path in files_below(labels, '.txt')]


def _read_names(path: str) -> dict:
    try:
        with open(path, encoding='utf-8') as file:
            names = yaml.safe_load(file)['names']
        return dict(enumerate(names) if isinstance(names, list) else names)
    except (yaml.YAMLError, ValueError, TypeError, KeyError):
        raise ValueError(f'{printable(path)} does not list the classes as "names": write it as '
                         'docs.ultralytics.com/datasets/segment says') from None


def _read_image(path: str, name: str, names: dict) -> Annotated:
    shapes, where = [], named(path, name)
    with open(path, encoding='utf-8') as file:
        for line in filter(None, map(str.split, file)):
            if not line[0].isdigit() or int(line[0]) not in names:
                raise ValueError(f'{where} has the class {line[0]!r}, which {_SETTINGS} does not list')
            if len(line) == 5:
                raise ValueError(f'{where} has a box of {names[int(line[0])]!r}, which says nothing of pixels: export '
                                 'segments')
            shapes.append(polygon_of(names[int(line[0])], line[1:], where))
    return Annotated(name, None, shapes)
