"""YOLO segmentation of Ultralytics: a text file per image (https://docs.ultralytics.com/datasets/segment/)."""
import os
import os.path as osp
from contextlib import contextmanager
from functools import partial
from typing import Dict, Iterator, List

import yaml

from ..utils.atomic import replacing, writing_last
from ..utils.paths import printable
from .job import Add, Drawn, Job, as_json, plain
from .parsing import files_below
from .shapes import Annotated, Polygon, Size, polygon_of, scaled
from .table import file_of

_SETTINGS, _LABELS = 'data.yaml', 'labels'


@contextmanager
def writing(job: Job) -> Iterator[Add]:
    """``yolo/data.yaml`` and below ``yolo/labels`` a file per image, a line for every connected region: its class and
    the points of its polygon as shares of width and height. The images belong to ``yolo/images``."""
    names = ''.join(f'  {c}: {as_json(name)}\n' for c, name in enumerate(job.names))
    with writing_last(osp.join(job.out, 'yolo', _SETTINGS), f'train: images\nval: images\nnames:\n{names}'):
        yield lambda drawn: _write_image(drawn, osp.join(job.out, 'yolo', _LABELS))


def _write_image(drawn: Drawn, folder: str) -> None:
    height, width = drawn.ids.shape
    path = osp.join(folder, file_of('yolo', drawn.name))
    os.makedirs(osp.dirname(path), exist_ok=True)
    with replacing(path, flush=False) as part, open(part, 'w') as file:
        for region in drawn.regions:
            shares = plain(region.ring / (width, height), 6)
            file.write(f'{" ".join(map(str, (region.class_id, *shares)))}\n')


def read(folder: str) -> List[Annotated]:
    """What the files below ``labels`` of a folder with a ``data.yaml`` say; images are called ``NAME.*``.

    Raises:
        ValueError: what is no such folder; from its shapes, a line that is no polygon of a known class.
    """
    names, labels = _read_names(osp.join(folder, _SETTINGS)), osp.join(folder, _LABELS)
    return [Annotated(path, f'{osp.relpath(path, labels).removesuffix(".txt")}.*', None,
                      partial(_read_shapes, path, names)) for path in files_below(labels, '.txt')]


def _read_names(path: str) -> Dict[str, str]:
    """Number of a class as labels have it -> its name."""
    try:
        with open(path, encoding='utf-8') as file:
            names = yaml.safe_load(file)['names']
        found = {str(c): name for c, name in (enumerate(names) if isinstance(names, list) else names.items())}
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError(f'{printable(path)} does not list the classes as "names": write it as '
                         'docs.ultralytics.com/datasets/segment says') from None
    wrong = [c for c, name in found.items() if not isinstance(name, str)]
    if wrong:
        raise ValueError(f'{printable(path)} has something else than a text as the name of the class {wrong[0]}: write '
                         'it in quotes')
    return found


def _read_shapes(path: str, names: Dict[str, str], size: Size) -> Iterator[Polygon]:
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        where = f'line {number} of {printable(path)}'
        c, *shares = line.split()
        if c not in names:
            raise ValueError(f'{where} has the class {c!r:.60}, which {_SETTINGS} does not list: mend one of the two')
        if len(shares) == 4:
            raise ValueError(f'{where} has a box of {names[c]!r}, which says nothing of pixels: export segments')
        yield scaled(polygon_of(names[c], shares, where), size[::-1])


def _lines(path: str) -> Iterator[str]:
    try:
        with open(path, encoding='utf-8-sig') as file:
            yield from file
    except UnicodeDecodeError as error:
        raise ValueError(f'{printable(path)} cannot be read as text: {error}') from None
