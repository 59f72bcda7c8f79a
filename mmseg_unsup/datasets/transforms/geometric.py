"""Crops, resizes and flips; random geometry is drawn, recorded, and applied to image or features later."""
from typing import Optional, Tuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ...utils.checks import check_choice, check_count, check_interval, check_share

AREA = 'area'
# nearest is that of Pillow
INTERPOLATIONS = dict(area=cv2.INTER_AREA, bilinear=cv2.INTER_LINEAR, nearest=cv2.INTER_NEAREST_EXACT)


def resize_image(img: np.ndarray, shape: Tuple[int, int], interpolation: str = AREA) -> np.ndarray:
    """(H, W, 3) -> (*shape, 3): ``'area'`` averages when it shrinks, so that nothing aliases, and is else bilinear;
    ``'bilinear'`` and ``'nearest'`` do the same whatever the shape."""
    if img.shape[:2] == tuple(shape):
        return img
    if not any(img.strides):  # one byte stands for all pixels, see LoadNothing
        return np.full((*shape, 3), img[0, 0, 0], np.uint8)
    if interpolation == AREA and img.shape[0] <= shape[0]:
        interpolation = 'bilinear'
    return cv2.resize(img, shape[::-1], interpolation=INTERPOLATIONS[interpolation])


def resize_labels(labels: np.ndarray, shape: Tuple[int, int]) -> np.ndarray:
    """(H, W) -> shape, nearest by pixel centres (plain ``INTER_NEAREST`` of cv2 is off by half a pixel)."""
    return cv2.resize(labels, shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def center_square(img: np.ndarray) -> np.ndarray:
    """The centre square of an image or label map, as a view."""
    height, width = img.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return img[top:top + side, left:left + side]


@TRANSFORMS.register_module()
class CenterSquareCrop(BaseTransform):
    """Keep the centre square of ``img``: the frame in which views are drawn.

    Args:
        size: also resize it to this side. None keeps its own resolution, so that a view is resampled only once.
    """

    def __init__(self, size: Optional[int] = None) -> None:
        if size is not None:
            check_count('size', size)
        self.size = size

    def transform(self, results: dict) -> dict:
        img = center_square(results['img'])
        results['img'] = img if self.size is None else resize_image(img, (self.size, self.size))
        results['img_shape'] = results['img'].shape[:2]
        return results


@TRANSFORMS.register_module()
class ResizeForEvaluation(BaseTransform):
    """Shorter side of the image to ``size``, in one of three protocols.

    * ``'center_crop'``, as published: image and labels become the centre square of side ``size``, and scores are
      taken at that size. What lies outside the square is never scored.
    * ``'full_resolution'``: the whole image is seen, labels stay as they are, and scores are taken at the size of the
      file (the prediction is brought back to ``ori_shape``).
    * ``'squash'``: as ``'full_resolution'``, but both sides become ``size``, so that images of any aspect fit one
      batch.

    Args:
        size: pixels of the shorter side.
        protocol: see above.
        interpolation: of images, see :func:`resize_image`; labels are always nearest. With another one than ``'area'``
            the centre square is cut out of the resized image, by the whole pixels of torchvision's ``Resize`` and
            ``CenterCrop``, as the released code of STEGO and its successors does it.
    """

    PROTOCOLS = ('center_crop', 'full_resolution', 'squash')
    is_resize = True  # takes size and protocol

    def __init__(self, size: int, protocol: str = 'center_crop', interpolation: str = AREA) -> None:
        if protocol not in self.PROTOCOLS:
            raise ValueError(f'protocol={protocol!r} is not one of {self.PROTOCOLS}')
        check_choice('interpolation', interpolation, INTERPOLATIONS)
        check_count('size', size)
        self.size, self.protocol, self.interpolation = size, protocol, interpolation

    def transform(self, results: dict) -> dict:
        if self.protocol == 'full_resolution':
            height, width = results['img'].shape[:2]
            scale = self.size / min(height, width)
            shape = (max(1, round(height * scale)), max(1, round(width * scale)))
            results['img'] = resize_image(results['img'], shape, self.interpolation)
        elif self.protocol == 'squash':
            results['img'] = resize_image(results['img'], (self.size, self.size), self.interpolation)
        elif self.interpolation != AREA:
            self._resize_then_crop(results)
        else:
            # cropping first gives the same square and resamples fewer pixels
            results['img'] = resize_image(center_square(results['img']), (self.size, self.size))
            results['ori_shape'] = (self.size, self.size)
            for key in results.get('seg_fields', []):
                results[key] = resize_labels(center_square(results[key]), (self.size, self.size))
        results['img_shape'] = results['img'].shape[:2]
        return results

    def _resize_then_crop(self, results: dict) -> None:
        height, width = results['img'].shape[:2]
        shape = tuple(self.size * side // min(height, width) for side in (height, width))
        # torchvision rounds half to even
        rows, columns = (slice(start, start + self.size) for start in (round((side - self.size) / 2) for side in shape))
        results['img'] = np.ascontiguousarray(resize_image(results['img'], shape, self.interpolation)[rows, columns])
        results['ori_shape'] = (self.size, self.size)
        for key in results.get('seg_fields', []):
            results[key] = np.ascontiguousarray(resize_labels(results[key], shape)[rows, columns])


@TRANSFORMS.register_module()
class PairedCropFlip(BaseTransform):
    """PiCIE's geometry: one square crop and flip per image, on the first view's image, recorded for the others.

    The first view is cropped, resized to ``size`` and flipped. The other views are only resized; the model applies
    the recorded ``crop_box`` and ``flip`` to their feature maps (:func:`mmseg_unsup.functional.warp`). The box lies
    on whole pixels of the frame, so image and features are cut at exactly the same place.

    Sets ``crop_box`` (x1, y1, x2, y2 in fractions of the frame) and ``flip`` (bool).

    Args:
        size: pixels of the side of every view.
        scale: range of the side of the crop, as a share of the side of the frame.
        flip_prob: probability of a horizontal flip.

    Source: custom_transforms.py:190-238, coco_train_dataset.py:135-163 of the released code.

    Raises:
        ValueError: the frame is not square, or a setting is out of range.
    """

    def __init__(self, size: int, scale: tuple = (0.5, 1.), flip_prob: float = 0.5) -> None:
        check_count('size', size)
        check_interval('scale', scale)
        if not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(f'scale must satisfy 0 < low <= high <= 1, but it is {scale}')
        check_share('flip_prob', flip_prob)
        self.size, self.scale, self.flip_prob = size, scale, flip_prob

    def transform(self, results: dict) -> dict:
        first, *others = results['views']
        height, width = first['img'].shape[:2]
        if height != width:
            raise ValueError(f'PairedCropFlip needs a square frame, but got {width}x{height}: put CenterSquareCrop '
                             'before MakeViews')
        left, top, side = self._draw_box(width)
        flip = bool(np.random.rand() < self.flip_prob)
        crop = resize_image(first['img'][top:top + side, left:left + side], (self.size, self.size))
        first['img'] = cv2.flip(crop, 1) if flip else crop
        for view in others:
            view['img'] = resize_image(view['img'], (self.size, self.size))
        results['crop_box'] = (left / width, top / width, (left + side) / width, (top + side) / width)
        results['flip'] = flip
        return results

    def _draw_box(self, frame: int):
        side = max(1, int(np.random.uniform(*self.scale) * frame))
        top, left = (int(round((frame - side) * u)) for u in np.random.rand(2))
        return left, top, side
