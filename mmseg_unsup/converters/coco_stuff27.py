"""The curated COCO-Stuff lists of IIC and PiCIE, from the annotations alone (IIC's coco164k_prepare.py, version 7)."""
import functools
import hashlib
import logging
import os
import os.path as osp
from concurrent.futures import ProcessPoolExecutor
from typing import List

import cv2

from ..datasets.coco_stuff27 import COCOStuff27Dataset, fine_to_coarse
from ..datasets.labelled_dataset import table_from_values
from ..utils import track_progress
from ..utils.atomic import write_text
from ..utils.console import say

MIN_SIDE, MIN_STUFF = 360, 0.75
# (number of ids, SHA-256 of the sorted 12-digit ids, one a line)
PUBLISHED = {
    'train2017': (49629, '3b837594a81880a70f177afab906fc45147d8b9c2c4f51132f784e41941812f9'),
    'val2017': (2175, '7c629734c88f1a74bba6311e01d4d9fe976df84f07cb4fc86452ce5116e51655'),
}


def is_curated(path: str) -> bool:
    """Whether both sides of an annotation PNG are long enough, and enough of its pixels belong to stuff classes."""
    labels = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    if labels is None or labels.ndim != 2:
        raise ValueError(f'cannot read the annotation {path} as an 8-bit map with one channel')
    if min(labels.shape) < MIN_SIDE:
        return False
    return float(_stuff_values()[labels].mean()) >= MIN_STUFF


@functools.cache
def _stuff_values():
    """(256,) bool: PNG values of stuff classes."""
    stuff = COCOStuff27Dataset.METAINFO['groups']['stuff']
    table = table_from_values(fine_to_coarse(), 255)
    return (table >= min(stuff)) & (table <= max(stuff))


def curated_ids(folder: str, workers: int) -> List[str]:
    """Sorted ids of the annotations in a folder that satisfy the rule; none at all are an error."""
    names = sorted(name for name in os.listdir(folder) if name.endswith('.png')) if osp.isdir(folder) else []
    # mmseg's converter leaves *_labelTrainIds.png beside the originals
    ids = [name[:-4] for name in names if not name.endswith('_labelTrainIds.png')]
    if not ids:
        raise FileNotFoundError(f'no annotation PNG in {folder}: unpack stuffthingmaps_trainval2017.zip there')
    kept = []
    with ProcessPoolExecutor(workers) as pool, track_progress(f'reading {folder}', len(ids)) as advance:
        paths = [osp.join(folder, f'{name}.png') for name in ids]
        for name, keep in zip(ids, pool.map(is_curated, paths, chunksize=64)):
            if keep:
                kept.append(name)
            advance(1)
    return kept


def is_published(split: str, ids: List[str]) -> bool:
    """Whether a list is the published one, which the console is told."""
    count, checksum = PUBLISHED[split]
    ours = hashlib.sha256(''.join(f'{name}\n' for name in ids).encode()).hexdigest()
    if (len(ids), ours) == (count, checksum):
        say(f'{split}: {len(ids)} images, identical to the published list')
        return True
    say(f'{split}: {len(ids)} images, SHA-256 {ours}, but the published list has {count} images, SHA-256 {checksum}: '
        'scores will not be comparable with published ones; are all annotations of this split there, and unchanged?',
        logging.WARNING)
    return False


def write_curated_lists(data_root: str, workers: int) -> bool:
    """Write ``curated/{train2017,val2017}.txt`` beside ``annotations/``; whether they are the published lists."""
    same = []
    for split in PUBLISHED:
        ids = curated_ids(osp.join(data_root, 'annotations', split), workers)
        same.append(is_published(split, ids))
        path = osp.join(data_root, 'curated', f'{split}.txt')
        os.makedirs(osp.dirname(path), exist_ok=True)
        write_text(path, ''.join(f'{name}\n' for name in ids))
        say(f'wrote {path}')
    return all(same)
