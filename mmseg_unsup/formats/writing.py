"""Writing maps as annotations of other programs."""
import functools
import os
import os.path as osp
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Callable, Iterator, List, Sequence, Tuple

import numpy as np

from ..utils.atomic import MAX_NAME, remove_parts, remove_parts_below
from ..utils.paths import printable
from ..utils.read_ahead import read_ahead
from ..utils.same_files import two_of_one_file
from . import cityscapes, coco, cvat, geotiff, label_studio, labelme, video, yolo
from .job import Drawn, Job
from .regions import trace_regions
from .table import FORMATS, file_of

_WRITING = {'coco': coco.writing_runs, 'coco-polygons': coco.writing_polygons, 'label-studio': label_studio.writing,
            'cvat': cvat.writing, 'yolo': yolo.writing, 'labelme': labelme.writing, 'cityscapes': cityscapes.writing,
            'geotiff': geotiff.writing, 'video': video.writing}
# formats that not all images can have
_CHECKS = {'cvat': cvat.check, 'geotiff': geotiff.check, 'video': video.check}


def check_maps(formats: Sequence[str], names: Sequence[str], root: str, images: Sequence[str]) -> None:
    """Raise ValueError if a format cannot hold what is to be written.

    Args:
        names: of the classes.
        root: folder of the images.
        images: their names.
    """
    for name in formats:
        most = FORMATS[name].max_classes
        if most is not None and len(names) > most:
            raise ValueError(f'the format {name} holds {most} classes at most, and there are {len(names)}: merge '
                             'classes (mmseg-unsup name --merge), or choose another format')
        if FORMATS[name].suffix is not None:
            _check_files(name, images)
        if name in _CHECKS:
            _CHECKS[name](root, images)


def _check_files(name: str, images: Sequence[str]) -> None:
    """Of a format with a file for each image."""
    alike = two_of_one_file(images, functools.partial(file_of, name))
    if alike:
        one, other = (printable(images[i]) for i in alike)
        raise ValueError(f'the format {name} has one file for {one} and {other}, '
                         f'{printable(file_of(name, images[alike[0]]))}: rename one of the images, or choose another '
                         'format')
    for image in images:
        n_bytes = len(os.fsencode(osp.basename(file_of(name, image)) + FORMATS[name].beside))
        if n_bytes > MAX_NAME:
            raise ValueError(f'the format {name} has a file for {printable(image)} whose name would have {n_bytes} '
                             f'bytes, of {MAX_NAME} that are possible: shorten it, or choose another format')


def write_formats(formats: Sequence[str], job: Job, images: Sequence[str], read_map: Callable[[str], np.ndarray],
                  tolerance: float = 1., workers: int = 1) -> List[str]:
    """Write the maps of images in several formats at once; a file of all images is there when all are in it.

    Args:
        images: their names.
        read_map: the name of an image -> (H, W) class ids.
        tolerance: of polygons, see :func:`trace_regions`.
        workers: threads that read maps and trace polygons.

    Returns:
        the paths to open.

    Raises:
        ValueError: see :func:`check_maps`.
    """
    formats = [*dict.fromkeys(formats)]
    check_maps(formats, job.names, job.root, images)
    needs_regions = any('shapely' in FORMATS[name].needs for name in formats)
    draw = functools.partial(_draw, read_map, len(job.names), tolerance if needs_regions else None)
    remove_parts(job.out, {file for name in formats for file in FORMATS[name].files})
    with ExitStack() as stack:
        adding = [stack.enter_context(_WRITING[name](job)) for name in formats]
        for drawn in _drawn(draw, images, workers):
            for add in adding:
                add(drawn)
    for name in formats:
        for folder in (file for file in FORMATS[name].files if file.endswith('/')):
            remove_parts_below(osp.join(job.out, folder))
    return [osp.join(job.out, FORMATS[name].files[0]) for name in formats]


def _drawn(draw: Callable[[Tuple[int, str]], Drawn], images: Sequence[str], workers: int) -> Iterator[Drawn]:
    with ThreadPoolExecutor(workers) as pool:
        yield from read_ahead(functools.partial(pool.submit, draw), enumerate(images, start=1), 2 * workers)


def _draw(read_map: Callable[[str], np.ndarray], n_classes: int, tolerance, item: Tuple[int, str]) -> Drawn:
    number, name = item
    ids = read_map(name)
    return Drawn(number, name, ids, [] if tolerance is None else trace_regions(ids, n_classes, tolerance))
