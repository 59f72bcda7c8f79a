"""Whether two lists of images are the same, by digests of their names."""
import hashlib
import os
import os.path as osp
from itertools import zip_longest
from typing import Any, Dict, Iterator, List, Optional, Sequence

import numpy as np
from mmengine.dist import all_gather_object
from torch.utils.data import Dataset

from ..datasets import ViewDataset
from ..datasets.path_list import Records

_BLOCK = 1024  # names of a digest that ranks compare


def names_digest(dataset: Dataset) -> Optional[str]:
    """16 hex digits that depend on the names of all images below the data root, and on their order; None of a data set
    that lists no files."""
    if not _lists_files(dataset):
        return None
    digest = hashlib.sha256()
    for block in _blocks(dataset):
        digest.update(block)
    return digest.hexdigest()[:16]


def sizes_digest(dataset: Dataset) -> Optional[str]:
    """16 hex digits that depend on the sizes of the files of all images, in their order; -1 bytes of one that is not
    there. None of a data set that lists no files."""
    if not _lists_files(dataset):
        return None
    source = _source(dataset)
    sizes = (_size(source.get_data_info(idx)['img_path']) for idx in range(len(source)))
    return hashlib.sha256(np.fromiter(sizes, np.int64, len(source)).tobytes()).hexdigest()[:16]


def _size(path: str) -> int:
    try:
        return osp.getsize(path)
    except OSError:
        return -1


def image_facts(kind: str, dataset: Dataset) -> Dict[str, Any]:
    """What :func:`mmseg_unsup.utils.distributed.check_ranks_agree` compares of the images of a loader: their number
    and, where names differ between ranks, the first that does. Collective.

    Args:
        kind: of images, for the message.
    """
    facts = {f'the number of {kind} images': len(dataset)}
    if _lists_files(dataset):
        index = _first_difference(dataset)
        if index is not None and index < len(dataset):
            facts[f'the {kind} image {index + 1}'] = os.fsdecode(_lines(dataset, index, index + 1)[:-1])
    return facts


def _first_difference(dataset: Dataset) -> Optional[int]:
    """The first image whose name differs between ranks, or that some do not have. Collective."""
    block = _first_unequal([hashlib.sha256(block).digest() for block in _blocks(dataset)])
    if block is None:
        return None
    start, end = block * _BLOCK, min((block + 1) * _BLOCK, len(dataset))
    return start + _first_unequal([_lines(dataset, i, i + 1) for i in range(start, end)])


def _first_unequal(values: List[bytes]) -> Optional[int]:
    """The first position where the list of a rank differs from those of others. Collective."""
    rows = zip_longest(*all_gather_object(values))
    return next((i for i, row in enumerate(rows) if len({*row}) > 1), None)


def _lists_files(dataset: Dataset) -> bool:
    source = _source(dataset)
    return hasattr(source, 'get_data_info') and len(source) and 'img_path' in source.get_data_info(0)


def _blocks(dataset: Dataset) -> Iterator[bytes]:
    return (_lines(dataset, start, start + _BLOCK) for start in range(0, len(dataset), _BLOCK))


def _lines(dataset: Dataset, start: int, end: int) -> bytes:
    """The names of images from ``start`` on and before ``end``, relative to the data root, each with a newline."""
    source = _source(dataset)
    root = getattr(source, 'data_root', None)
    records: Sequence = getattr(source, 'data_list', ())
    if root and isinstance(records, Records):
        return records.paths.lines(start, end, root)
    paths = (source.get_data_info(idx)['img_path'] for idx in range(start, min(end, len(source))))
    return b''.join(os.fsencode(f'{osp.relpath(path, root) if root else path}\n') for path in paths)


def _source(dataset: Dataset) -> Dataset:
    """What lists the images."""
    return dataset.dataset if isinstance(dataset, ViewDataset) else dataset
