"""Photometric transforms on uint8 BGR images; each draws from the global generators, which the data set keys."""
import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ...utils.checks import check_interval, check_share, is_finite

# share of each channel, in BGR order, in the grey level of cv2; the same for all three channels
_GRAY_WEIGHTS = np.tile([0.114, 0.587, 0.299], (3, 1))
_MAX_SIGMA = 100  # pixels; the cost of a blur grows with it


@TRANSFORMS.register_module()
class ColorJitter(BaseTransform):
    """Brightness, contrast, saturation and hue in this order, each with its own decision.

    Args:
        brightness, contrast, saturation: the factor is drawn from U(1 - x, 1 + x).
        hue: the shift is drawn from U(-x, x), as a share of the colour circle.
        prob: probability of each of the four.

    Source: coco_train_dataset.py:113-131 of the released PiCIE code.
    """

    def __init__(self, brightness: float = 0.3, contrast: float = 0.3, saturation: float = 0.3, hue: float = 0.1,
                 prob: float = 0.8) -> None:
        self.strengths = dict(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)
        for name, strength in self.strengths.items():
            limit = 0.5 if name == 'hue' else 1
            if not is_finite(strength) or not 0 <= strength <= limit:
                raise ValueError(f'{name} must lie in [0, {limit}], but it is {strength!r}')
        check_share('prob', prob)
        self.prob = prob

    def transform(self, results: dict) -> dict:
        operations = dict(
            brightness=adjust_brightness, contrast=adjust_contrast, saturation=adjust_saturation, hue=shift_hue)
        for name, operation in operations.items():
            strength = self.strengths[name]
            applied, draw = np.random.rand() < self.prob, np.random.uniform(-strength, strength)
            if applied:
                results['img'] = operation(results['img'], draw if name == 'hue' else 1 + draw)
        return results


def adjust_brightness(img: np.ndarray, factor: float, shift: float = 0.) -> np.ndarray:
    """(H, W, 3) uint8 BGR -> the same, times ``factor``: ``mmcv.adjust_brightness`` without its copies in float32.

    Clipped to [0, 255] and cut to whole grey levels, as mmcv cuts them: cv2 rounds to the nearest level, hence the half
    taken off; the thousandth keeps what is whole already.

    Args:
        shift: in grey levels, added before that.
    """
    img = np.ascontiguousarray(img)
    return cv2.addWeighted(img, factor, img, 0, shift - 0.499)


def adjust_contrast(img: np.ndarray, factor: float) -> np.ndarray:
    """(H, W, 3) uint8 BGR -> the same, distance to the mean grey times ``factor``, as ``mmcv.adjust_contrast``."""
    img = np.ascontiguousarray(img)
    mean = round(cv2.mean(cv2.cvtColor(img, cv2.COLOR_BGR2GRAY))[0])
    return adjust_brightness(img, factor, mean * (1 - factor))


def adjust_saturation(img: np.ndarray, factor: float) -> np.ndarray:
    """(H, W, 3) uint8 BGR -> the same, distance to its own grey level times ``factor``, as ``mmcv.adjust_color``.

    One pass with a 3 x 3 matrix; within one grey level of mmcv, which rounds the grey image first.
    """
    return cv2.transform(np.ascontiguousarray(img), factor * np.eye(3) + (1 - factor) * _GRAY_WEIGHTS)


def shift_hue(img: np.ndarray, shift: float) -> np.ndarray:
    """(H, W, 3) uint8 BGR -> the same, hue turned by ``shift`` of the colour circle.

    Half the cost of ``mmcv.adjust_hue`` and finer: 256 steps of hue where cv2's plain HSV has 180.
    """
    hsv = cv2.cvtColor(np.ascontiguousarray(img), cv2.COLOR_BGR2HSV_FULL)
    hsv[..., 0] += np.uint8(round(shift * 256) % 256)  # wraps around by the arithmetic of uint8
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR_FULL)


@TRANSFORMS.register_module()
class RandomGrayscale(BaseTransform):
    """Drop the colour with probability ``prob``. Never reached in the released PiCIE code (a string mismatch)."""

    def __init__(self, prob: float = 0.2) -> None:
        check_share('prob', prob)
        self.prob = prob

    def transform(self, results: dict) -> dict:
        if np.random.rand() < self.prob:
            gray = cv2.cvtColor(np.ascontiguousarray(results['img']), cv2.COLOR_BGR2GRAY)
            results['img'] = cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)
        return results


@TRANSFORMS.register_module()
class GaussianBlur(BaseTransform):
    """Blur with a standard deviation drawn from ``U(*sigma)`` pixels, with probability ``prob``.

    A negative draw counts by its magnitude. The released PiCIE code draws from U(-1.8, 0.1) by mistake and Pillow
    squares it (custom_transforms.py:88-95); ``sigma=(-1.8, 0.1)`` repeats that.

    Args:
        sigma: range in pixels of the image it is applied to.
        prob: probability.
    """

    def __init__(self, sigma: tuple = (0.1, 2.), prob: float = 0.5) -> None:
        check_interval('sigma', sigma)
        if max(map(abs, sigma)) > _MAX_SIGMA:
            raise ValueError(f'sigma must lie within {_MAX_SIGMA} pixels, but it is {sigma}')
        check_share('prob', prob)
        self.sigma, self.prob = sigma, prob

    def transform(self, results: dict) -> dict:
        applied, sigma = np.random.rand() < self.prob, abs(np.random.uniform(*self.sigma))
        if applied and sigma > 0:
            results['img'] = cv2.GaussianBlur(np.ascontiguousarray(results['img']), (0, 0), sigma)
        return results
