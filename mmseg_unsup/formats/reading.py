"""Reading annotations of other programs."""
import os.path as osp
from typing import List

from ..utils.paths import path_remedy, printable
from . import cityscapes, coco, cvat, geotiff, label_studio, labelme, yolo
from .parsing import files_below, load_json, understanding
from .shapes import Annotated
from .table import check_packages


def read_shapes(path: str) -> List[Annotated]:
    """What a file or folder of annotations says; it tells its format by its content.

    Raises:
        FileNotFoundError: it does not exist.
        ImportError: pycocotools, of the extra ``formats``, is missing.
        ValueError: it is of no known format, or see ``read`` of that.
    """
    if not osp.exists(path):
        raise FileNotFoundError(f'there are no annotations {printable(path)}: {path_remedy(path)}')
    check_packages(['pycocotools'], f'reading {printable(path)}')
    with understanding(path):
        found = _read_folder(path) if osp.isdir(path) else _read_file(path)
    if not found:
        raise ValueError(f'{printable(path)} has annotations of no image: export the file anew')
    return found


def _read_folder(folder: str) -> List[Annotated]:
    if osp.isfile(osp.join(folder, 'data.yaml')):
        return yolo.read(folder)
    if files_below(folder, cityscapes.IDS):
        return cityscapes.read(folder)
    if files_below(folder, geotiff.SUFFIX):
        return geotiff.read(folder)
    if files_below(folder, '.json'):
        return labelme.read(folder)
    raise ValueError(f'{printable(folder)} is no folder of annotations, which has data.yaml (YOLO), '
                     f'*{cityscapes.IDS}, *{geotiff.SUFFIX} or JSON files (LabelMe): give such a folder, or a file of '
                     'COCO, CVAT or Label Studio')


def _read_file(path: str) -> List[Annotated]:
    if path.lower().endswith('.xml'):
        return cvat.read(path)
    content = load_json(path)
    if isinstance(content, list):
        return label_studio.read(path, content)
    if isinstance(content, dict) and 'annotations' in content:
        return coco.read(path, content)
    raise ValueError(f'{printable(path)} is no file of annotations, which are JSON of COCO or Label Studio, or XML of '
                     'CVAT: give such a file, or a folder of YOLO, LabelMe, Cityscapes or GeoTIFFs')
