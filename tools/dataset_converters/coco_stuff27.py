"""Write the curated COCO-Stuff lists of IIC and PiCIE from the annotations alone.

    python tools/dataset_converters/coco_stuff27.py data/coco_stuff164k

An image is kept if both sides have at least 360 pixels and at least 75 % of all its pixels belong to stuff classes
(IIC's coco164k_prepare.py, version 7). For the complete annotations of 2017 that gives 49,629 training and 2,175
validation images; counts and checksums of the published lists are compared and any difference is said loudly.
"""
import argparse
import functools
import hashlib
import os
import os.path as osp
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import List

import cv2

import mmseg_unsup  # noqa: F401
from mmseg_unsup.datasets.coco_stuff27 import COCOStuff27Dataset, fine_to_coarse
from mmseg_unsup.datasets.labelled_dataset import table_from_values
from mmseg_unsup.utils import track_progress
from mmseg_unsup.utils.atomic import replacing
from mmseg_unsup.utils.checks import at_least

MIN_SIDE, MIN_STUFF = 360, 0.75
# (number of ids, SHA-256 of the sorted 12-digit ids, one a line)
PUBLISHED = {
    'train2017': (49629, '3b837594a81880a70f177afab906fc45147d8b9c2c4f51132f784e41941812f9'),
    'val2017': (2175, '7c629734c88f1a74bba6311e01d4d9fe976df84f07cb4fc86452ce5116e51655'),
}


def is_curated(path: str) -> bool:
    """Whether an annotation PNG satisfies the rule.

    Raises:
        ValueError: the file cannot be read as one 8-bit channel.
    """
    labels = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    if labels is None or labels.ndim != 2:
        raise ValueError(f'cannot read the annotation {path} as an 8-bit map with one channel')
    if min(labels.shape) < MIN_SIDE:
        return False
    return float(_stuff_values()[labels].mean()) >= MIN_STUFF


@functools.lru_cache(maxsize=None)
def _stuff_values():
    """(256,) bool: PNG values of stuff classes."""
    stuff = COCOStuff27Dataset.METAINFO['groups']['stuff']
    table = table_from_values(fine_to_coarse(), 255)
    return (table >= min(stuff)) & (table <= max(stuff))


def curated_ids(folder: str, workers: int) -> List[str]:
    """Sorted ids of the annotations in a folder that satisfy the rule.

    Raises:
        FileNotFoundError: the folder does not exist or has no PNG.
    """
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


def compare_with_published(split: str, ids: List[str]) -> bool:
    """Print whether a list is the published one."""
    count, checksum = PUBLISHED[split]
    ours = hashlib.sha256(''.join(f'{name}\n' for name in ids).encode()).hexdigest()
    if (len(ids), ours) == (count, checksum):
        print(f'{split}: {len(ids)} images, identical to the published list')
        return True
    print(
        f'WARNING: {split}: {len(ids)} images, SHA-256 {ours}.\n'
        f'WARNING: the published list has {count} images, SHA-256 {checksum}.\n'
        'WARNING: scores will not be comparable with published ones. Are all annotations of this split there, and '
        'unchanged?',
        file=sys.stderr)
    return False


def write_list(path: str, ids: List[str]) -> None:
    os.makedirs(osp.dirname(path), exist_ok=True)
    with replacing(path) as part, open(part, 'w') as file:
        file.writelines(f'{name}\n' for name in ids)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data_root', help='folder with annotations/{train2017,val2017}/*.png')
    parser.add_argument('--workers', type=at_least(1), default=os.cpu_count(), help='processes that read annotations')
    args = parser.parse_args()
    same = []
    for split in PUBLISHED:
        ids = curated_ids(osp.join(args.data_root, 'annotations', split), args.workers)
        same.append(compare_with_published(split, ids))
        path = osp.join(args.data_root, 'curated', f'{split}.txt')
        write_list(path, ids)
        print(f'wrote {path}')
    return 0 if all(same) else 3


if __name__ == '__main__':
    sys.exit(main())
