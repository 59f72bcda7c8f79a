"""Masks that exist as files."""
import os.path as osp
from typing import Optional

import numpy as np

from ..datasets.transforms.masks import read_mask
from ..registry import PRIORS
from ..utils.paths import is_outside
from .base import Prior, clean_mask

MASK_SUFFIXES = ('.png', '.bmp', '.tif', '.tiff', '.pgm', '.jpg', '.jpeg', '.webp')


@PRIORS.register_module()
class FolderPrior(Prior):
    """Masks of another program or of a person, one file of the same relative stem per image.

    Args:
        root: folder of the masks; ``a/b.jpg`` of the images has ``a/b.png`` or another suffix here.
        threshold: None for masks of 0 and one other value, 1 or 255; for grey maps, the share of 255 above which a
            pixel belongs to an object, or 'otsu'.
        min_area: as of :class:`Prior`; by default masks stay as they are.
        mask_labels: which labels the masks, or the network that made them, have seen.

    Raises:
        FileNotFoundError: the folder, or at use the file of an image, is missing.
        ValueError: at use: a mask of another size than the image, with channels that differ, of several values without
            a threshold, or with no background.
    """

    def __init__(self, root: str, threshold=None, min_area: float = 0., mask_labels: str = 'unknown') -> None:
        super().__init__(threshold='otsu' if threshold is None else threshold, min_area=min_area)
        if not osp.isdir(root):
            raise FileNotFoundError(f'the folder of masks {root!r} does not exist: set root of FolderPrior')
        self.root, self.threshold = root, threshold
        self.mask_labels = self.labels = mask_labels

    def saliency(self, image: np.ndarray, stem: Optional[str] = None) -> np.ndarray:
        """The map in the file that ``stem`` names, as :meth:`Prior.saliency`."""
        if stem is None:
            raise ValueError('FolderPrior needs the stem of the image: its path below its folder, without suffix')
        path = find_mask(self.root, stem)
        values = read_mask(path)
        if values.dtype != np.uint8:
            raise ValueError(f'the mask {path} holds {values.dtype}: expected 8 bits')
        top = values.max()
        if values.shape != image.shape[:2]:
            raise ValueError(f'the mask {path} has {values.shape[1]}x{values.shape[0]} pixels, but its image has '
                             f'{image.shape[1]}x{image.shape[0]}: make both the same size')
        if self.threshold is None and not np.isin(values, (0, top if top in (1, 255) else 0)).all():
            raise ValueError(f'the mask {path} holds the values {np.unique(values)[:5].tolist()}: expected 0 and '
                                 'one of 1 and 255, or set threshold of FolderPrior for grey maps')
        if values.min() > 0 and (self.threshold is None or values.min() == 255):
            raise ValueError(f'the mask {path} is {values.min()} everywhere: it needs background (0) beside the object')
        return values.astype(np.float32) / (top or 1 if self.threshold is None else 255)

    def mask(self, saliency: np.ndarray) -> np.ndarray:
        """The mask of :meth:`Prior.mask`; one of two values needs no threshold."""
        return clean_mask(saliency > 0, self.min_area) if self.threshold is None else super().mask(saliency)


def find_mask(root: str, stem: str) -> str:
    """Path of the one mask of an image below a folder, which the stem must not lead out of."""
    if is_outside(stem, root):
        raise ValueError(f'the image {stem!r} has its mask outside of {root!r}: give the path of the image below its '
                         'folder')
    paths = [osp.join(root, stem + suffix) for suffix in MASK_SUFFIXES]
    found = [path for path in paths if osp.isfile(path)]
    if not found:
        raise FileNotFoundError(f'the image {stem!r} has no mask {paths[0]} (nor one of another suffix): add it, or '
                                'remove the image')
    if len(found) > 1:
        raise ValueError(f'the image {stem!r} has several masks, {" and ".join(found)}: keep one')
    return found[0]
