"""The masks of a folder of images, found by the path of an image."""
import os.path as osp
from typing import Optional, Tuple

import numpy as np

from ..utils.checks import check_share
from ..utils.paths import is_outside
from .transforms.masks import LoadMask


class ObjectMasks:
    """Objects of the images that have a usable mask, as :class:`MaskedImageDataset` pairs them.

    ``IMAGES/a/b.jpg`` has the mask ``MASKS/a/b.png``. Folders that do not exist hold no mask: a checkpoint travels
    without them.

    Args:
        data_root: folder of the images.
        mask_root: folder of the masks.
        mask_suffix, min_area: see :class:`MaskedImageDataset`.
        objects: see :class:`LoadMask`.
    """

    def __init__(self,
                 data_root: str,
                 mask_root: str,
                 mask_suffix: str = '.png',
                 min_area: float = 0.01,
                 objects: str = 'image') -> None:
        check_share('min_area', min_area, includes_one=False)
        self.data_root, self.mask_root = osp.abspath(data_root), osp.abspath(mask_root)
        self.mask_suffix, self.min_area = mask_suffix, min_area
        self._load = LoadMask(objects, min_area)

    def find(self, img_path: Optional[str]) -> Optional[str]:
        """Path of the mask file of an image; None where there is none, or the image is not below its folder."""
        if img_path is None:
            return None
        stem = osp.splitext(osp.relpath(osp.abspath(img_path), self.data_root))[0]
        path = osp.join(self.mask_root, stem + self.mask_suffix)
        return path if not is_outside(stem, self.data_root) and osp.isfile(path) else None

    def object_ids(self, img_path: Optional[str], shape: Tuple[int, int]) -> Optional[np.ndarray]:
        """(H, W) uint8 ids of the objects of an image of that shape, 0 is background; None without a usable mask,
        LabelError where it cannot be read or has another size."""
        path = self.find(img_path)
        if path is None:
            return None
        ids = self._load.read_ids(path, img_path, shape)
        return ids if ids.any() and np.count_nonzero(ids) >= self.min_area * ids.size else None
