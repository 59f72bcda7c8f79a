"""Object masks beside images: reading them, and two crops of both."""
from typing import Optional, Tuple

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import PixelData

from ...registry import TRANSFORMS
from ...utils.checks import check_count, check_interval, check_share
from ..errors import LabelError, UndecodableLabelError
from .formatting import PackViews
from .geometric import resize_image, resize_labels
from .loading import read_unchanged

OBJECTS = ('image', 'components')
# crops that are drawn before the largest one of an allowed ratio is taken
_CROP_ATTEMPTS = 10
_MAX_RATIO = 1000


def read_mask(path: str, backend_args: Optional[dict] = None) -> np.ndarray:
    """Read a mask file: (H, W) of unsigned integers, 0 where there is no object.

    A palette gives its indices; several equal channels are one, and transparency does not count.

    Raises:
        LabelError: its channels differ.
        UndecodableLabelError: the file cannot be read.
    """
    mask = read_unchanged(path, f'the mask {path}', UndecodableLabelError, backend_args)
    if mask.ndim == 3:
        colors = mask[..., :3]
        if (colors != colors[..., :1]).any():
            raise LabelError(f'the mask {path} has {mask.shape[2]} channels that differ: expected one channel, 0 where '
                             'there is no object')
        mask = mask[..., 0]
    if mask.dtype not in (np.uint8, np.uint16):
        raise LabelError(f'the mask {path} holds {mask.dtype}: expected 8-bit or 16-bit integers')
    return mask


@TRANSFORMS.register_module()
class LoadMask(BaseTransform):
    """Read ``mask_path`` as ``mask``, (H, W) uint8 ids of objects: 0 is background, 1, 2, ... are objects.

    Ids are those of the whole image, so an object keeps its id in every crop.

    Args:
        objects: ``'image'``: all that is not 0 is one object; 1 and 255 mean the same. ``'components'``: several
            objects an image. Where a mask has one nonzero value, these are its 8-connected components; where it has
            several, each value is an object (regions).
        min_area: with ``'components'``, smaller objects become background; a share of the image.

    Raises:
        ValueError: a bad option.
        KeyError: the data set lists no masks.
        LabelError: the file cannot be used, has another size than the image, or more than 255 objects.
    """
    loads = 'mask_path'

    def __init__(self, objects: str = 'image', min_area: float = 0.01, backend_args: Optional[dict] = None) -> None:
        if objects not in OBJECTS:
            raise ValueError(f'objects={objects!r} is not one of {OBJECTS}')
        check_share('min_area', min_area, includes_one=False)
        self.objects, self.min_area, self.backend_args = objects, min_area, backend_args

    def transform(self, results: dict) -> dict:
        if 'mask_path' not in results:
            raise KeyError(f'no mask is known for {results["img_path"]}: use the data set '
                           'mmseg_unsup.MaskedImageDataset')
        ids = self.read_ids(results['mask_path'], results['img_path'], results['ori_shape'])
        # the image may have been decoded at a reduced scale
        results['mask'] = resize_labels(ids, results['img'].shape[:2])
        return results

    def read_ids(self, path: str, img_path: str, shape: Tuple[int, int]) -> np.ndarray:
        """(H, W) uint8 ids of the objects in the mask file of an image of that shape."""
        mask = read_mask(path, self.backend_args)
        if mask.shape != tuple(shape):
            raise LabelError(f'the mask {path} has size {mask.shape[::-1]}, but its image {img_path} has '
                             f'{tuple(shape[::-1])}')
        return (mask != 0).astype(np.uint8) if self.objects == 'image' else self._separate(mask, path)

    def _separate(self, mask: np.ndarray, path: str) -> np.ndarray:
        """Consecutive ids of the objects that are large enough."""
        values = np.flatnonzero(np.bincount(mask.ravel(), minlength=1)[1:]) + 1
        if len(values) == 1:
            regions = cv2.connectedComponents((mask != 0).astype(np.uint8), connectivity=8)[1]
        else:
            table = np.zeros(int(mask.max()) + 1, np.int32)
            table[values] = np.arange(1, len(values) + 1)
            regions = table[mask]
        areas = np.bincount(regions.ravel())
        large = areas >= self.min_area * mask.size
        large[0] = False
        if large.sum() > 255:
            raise LabelError(f'the mask {path} has {large.sum()} objects, but at most 255 can be told apart: raise '
                             f'min_area of LoadMask, which is {self.min_area}')
        return (np.cumsum(large) * large).astype(np.uint8)[regions]


@TRANSFORMS.register_module()
class TwoMaskedViews(BaseTransform):
    """Two independent crops of ``img`` and ``mask``, resized to a square and flipped at random.

    In both crops the objects must take a share of the area inside ``area``; otherwise both are drawn again, and after
    ``max_retries`` they are the whole image. The upper bound is dropped where the whole image exceeds it, as with
    regions that leave no background.

    Sets ``views``, each with ``img`` (size, size, 3) and ``mask`` (size, size).

    Args:
        size: pixels of the side of a view.
        scale: range of the area of a crop, as a share of the image.
        ratio: range of width : height of a crop.
        flip_prob: probability of a horizontal flip.
        area: bounds of the share of object pixels in a view.
        max_retries: pairs of crops after the first.

    Source: MaskContrast (arXiv 2102.06191), section 4.1; crops are drawn as in torchvision's ``RandomResizedCrop``.
    """

    def __init__(self,
                 size: int = 224,
                 scale: Tuple[float, float] = (0.2, 1.),
                 ratio: Tuple[float, float] = (3 / 4, 4 / 3),
                 flip_prob: float = 0.5,
                 area: Tuple[float, float] = (0.01, 0.99),
                 max_retries: int = 10) -> None:
        check_count('size', size)
        for name, interval in (('scale', scale), ('ratio', ratio), ('area', area)):
            check_interval(name, interval)
        if not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(f'scale must satisfy 0 < low <= high <= 1, but it is {scale}')
        if not 1 / _MAX_RATIO <= ratio[0] <= ratio[1] <= _MAX_RATIO:
            raise ValueError(f'ratio must satisfy 1/{_MAX_RATIO} <= low <= high <= {_MAX_RATIO}, but it is {ratio}')
        check_share('flip_prob', flip_prob)
        if not 0 <= area[0] < area[1] <= 1:
            raise ValueError(f'area must satisfy 0 <= low < high <= 1, but it is {area}')
        check_count('max_retries', max_retries, low=0)
        self.size, self.scale, self.ratio, self.flip_prob = size, scale, ratio, flip_prob
        self.area, self.max_retries = area, max_retries

    def transform(self, results: dict) -> dict:
        img, mask = results['img'], results['mask']
        boxes = self._draw_boxes(mask)
        results['views'] = []
        for box in boxes:
            view = dict(img=resize_image(_cut(img, box), (self.size, self.size)), mask=self._view_mask(mask, box))
            if np.random.rand() < self.flip_prob:
                view = {key: cv2.flip(value, 1) for key, value in view.items()}
            results['views'].append(view)
        return results

    def _draw_boxes(self, mask: np.ndarray) -> list:
        """Draw two boxes (top, left, height, width)."""
        low, high = self.area
        if np.count_nonzero(mask) >= high * mask.size:
            high = np.inf
        for _ in range(1 + self.max_retries):
            boxes = [self._draw_box(*mask.shape) for _ in range(2)]
            if all(low < np.count_nonzero(self._view_mask(mask, box)) / self.size**2 < high for box in boxes):
                return boxes
        return [(0, 0, *mask.shape)] * 2

    def _draw_box(self, height: int, width: int) -> Tuple[int, int, int, int]:
        low, high = np.log(self.ratio)
        for _ in range(_CROP_ATTEMPTS):
            area = height * width * np.random.uniform(*self.scale)
            ratio = np.exp(np.random.uniform(low, high))
            h, w = int(round(np.sqrt(area / ratio))), int(round(np.sqrt(area * ratio)))
            if 0 < h <= height and 0 < w <= width:
                return np.random.randint(height - h + 1), np.random.randint(width - w + 1), h, w
        ratio = np.clip(width / height, *self.ratio)  # the largest box of an allowed ratio, in the middle
        h, w = min(height, max(1, round(width / ratio))), min(width, max(1, round(height * ratio)))
        return (height - h) // 2, (width - w) // 2, h, w

    def _view_mask(self, mask: np.ndarray, box: tuple) -> np.ndarray:
        return resize_labels(_cut(mask, box), (self.size, self.size))


def _cut(img: np.ndarray, box: tuple) -> np.ndarray:
    top, left, height, width = box
    return img[top:top + height, left:left + width]


@TRANSFORMS.register_module()
class PackMaskedViews(PackViews):
    """:class:`PackViews` with the masks of the views as ``view_masks`` (V, H, W) uint8 of the data sample."""

    def transform(self, results: dict) -> dict:
        packed = super().transform(results)
        masks = torch.from_numpy(np.stack([view['mask'] for view in results['views']]))
        packed['data_samples'].set_data(dict(view_masks=PixelData(data=masks)))
        return packed
