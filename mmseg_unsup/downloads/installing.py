"""From an archive to the layout that the configs expect: a folder is there whole or not at all."""
import os
import os.path as osp
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import Iterator, List, Sequence

import cv2
import mmseg
import numpy as np

from ..datasets.pictures import write_picture
from ..utils.archives import opened_archive
from ..utils.atomic import replacing
from ..utils.digests import git_tree
from ..utils.paths import printable
from ..utils.progress import track_progress
from .disk import check_space
from .table import DataSet, Part, Source

_STAGING = 'unpacked'
_TILER = osp.join('.mim', 'tools', 'dataset_converters', 'potsdam.py')  # of mmseg


def install(data_set: DataSet, source: Source, archive: str, root: str, work: str) -> None:
    """Unpack a source of a data set and put its folders in place, those that are not there yet; of one without places,
    see :func:`install_tiles`, only the names are looked at.

    Args:
        archive: its file.
        work: a folder on the same disk for what is not whole.

    Raises:
        ValueError: it is damaged, or another one; nothing was put in place.
        OSError: the disk is full.
    """
    if isinstance(source.places, str):
        path = osp.join(root, source.places)
        os.makedirs(osp.dirname(path), exist_ok=True)
        with replacing(path) as part:
            shutil.copyfile(archive, part)
        return
    with opened_archive(archive, source.places) as wanted, _staging(work) as staging:
        if source.places:
            check_space(root, wanted.n_bytes / 1e6, f'the files of {source.name}')
            wanted.copy_to(staging, source.name)
            _put_in_place(data_set, source.targets, staging, root, archive)


def install_tiles(data_set: DataSet, archives: Sequence[str], root: str, work: str) -> None:
    """Potsdam: cut the scenes into tiles by MMSegmentation's own converter; raises as :func:`install`."""
    converter = osp.join(osp.dirname(mmseg.__file__), _TILER)
    if not osp.isfile(converter):
        raise ImportError(f'the installed mmsegmentation has no {_TILER}, which cuts the scenes of Potsdam into tiles: '
                          'install its wheel')
    with _staging(work) as staging:
        scenes, tiles, unpacked = (osp.join(staging, name) for name in ('scenes', 'tiles', 'tmp'))
        for folder in (scenes, unpacked):
            os.makedirs(folder)
        for path in archives:
            os.symlink(osp.abspath(path), osp.join(scenes, osp.basename(path)))
        done = subprocess.run([sys.executable, converter, scenes, '--out_dir', tiles, '--tmp_dir', unpacked],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            lines = done.stdout.strip().splitlines() or ['nothing was said']
            raise ValueError(f'the scenes of Potsdam could not be cut into tiles ({lines[-1]}): see that the archives '
                             'are whole and the disk has room')
        _put_in_place(data_set, [*data_set.parts], tiles, root, ' and '.join(archives))


def check_part(folder: str, part: Part, of: str) -> None:
    """Raise ValueError unless a folder holds what it must; ``of`` is where it comes from."""
    n_files = sum(name.endswith(part.suffix) for _, _, names in os.walk(folder) for name in names)
    if n_files < part.n_files:
        raise ValueError(f'{printable(of)} has {n_files} of the {part.n_files} files *{part.suffix} of '
                         f'{osp.basename(osp.dirname(folder))}/{osp.basename(folder)}: it is not whole, or another one')
    if part.tree and git_tree(folder) != part.tree:
        raise ValueError(f'{printable(of)} has other files in {osp.basename(folder)} than were published')


def _put_in_place(data_set: DataSet, targets: List[str], staging: str, root: str, archive: str) -> None:
    parts = {target: data_set.parts[target] for target in targets if target in data_set.parts}
    for target, part in parts.items():
        check_part(osp.join(staging, target), part, archive)
    for target, part in parts.items():
        if part.void is not None:
            _rewrite_void(osp.join(staging, target), part.void)
    for target in targets:
        place = osp.join(root, target)
        if not osp.exists(place):
            os.makedirs(osp.dirname(place), exist_ok=True)
            os.rename(osp.join(staging, target), place)


def _rewrite_void(folder: str, void: int) -> None:
    """Give pixels without a class the value 255 that all label maps of this package have."""
    names = os.listdir(folder)
    with track_progress('writing label maps', len(names), 'files') as advance:
        for name in names:
            path = osp.join(folder, name)
            labels = cv2.imread(path, cv2.IMREAD_UNCHANGED)
            write_picture(path, np.where(labels == void, 255, labels).astype(np.uint8))
            advance(1)


@contextmanager
def _staging(work: str) -> Iterator[str]:
    """A folder for a block, empty at first, whatever a killed process left there."""
    staging = osp.join(work, _STAGING)
    shutil.rmtree(staging, ignore_errors=True)
    os.makedirs(staging)
    try:
        yield staging
    finally:
        shutil.rmtree(staging)
