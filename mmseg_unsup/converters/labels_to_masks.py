"""Object masks from label maps: the upper bound of what mask priors could give."""
import os.path as osp
from typing import Sequence, Tuple

import numpy as np

from ..datasets.image_files import find_images
from ..datasets.transforms.masks import read_mask
from ..datasets.pictures import write_picture
from ..utils.progress import track_progress


def write_masks(labels: str, out: str, objects: Sequence[int]) -> Tuple[int, int]:
    """LABELS/a/b.png becomes OUT/a/b.png, 255 where the label is one of ``objects``, 0 elsewhere.

    Returns:
        how many masks there are, and how many of them have an object.

    Raises:
        ValueError: the masks would replace the labels, or no label map has an object.
    """
    if osp.realpath(out) == osp.realpath(labels):
        raise ValueError(f'{out} is the folder of the label maps, which masks of the same names would replace: give '
                         'another one')
    paths = find_images(labels)
    n_with_object, values = 0, set()
    with track_progress('masks', len(paths)) as advance:
        for path in paths:
            label = read_mask(path)
            values.update(np.unique(label).tolist())
            mask = np.isin(label, objects)
            target = osp.join(out, osp.splitext(osp.relpath(path, labels))[0] + '.png')
            write_picture(target, mask.astype(np.uint8) * 255)
            n_with_object += bool(mask.any())
            advance(1)
    if not n_with_object:
        raise ValueError(f'none of the {len(paths)} label maps holds {objects}: check the values of --objects, of '
                         f'which there are {", ".join(map(str, sorted(values)))}; the masks in {out} are empty')
    return len(paths), n_with_object
