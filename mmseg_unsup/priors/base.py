"""What all mask priors share: a map of saliency, and the mask that is made from it. Pure functions of an image."""
import inspect
import json
from abc import ABCMeta, abstractmethod
from typing import Any, Dict, Optional, Union

import cv2
import numpy as np
from skimage.filters import threshold_otsu

from ..utils.checks import is_finite

MAX_REGIONS = 254  # 255 is the object of a mask of one


class Prior(metaclass=ABCMeta):
    """Maps an image to a guess of its objects, the same on every machine and in every order of images.

    Subclasses keep every argument of their constructor as an attribute of that name, so that :meth:`describe` is
    complete.

    Args:
        threshold: 'otsu', or the saliency above which a pixel belongs to an object.
        min_area: share of the image. Smaller objects are dropped, smaller holes filled; a mask that covers less, or
            leaves less uncovered, is not usable, and all zero.

    Attributes:
        labels (str): which labels the weights have seen; 'none' without any.
        tells_ground (bool): whether what is no object is 0 in the masks; False where all of an image is objects.

    Raises:
        ValueError: an option out of its range.
    """
    labels = 'none'
    tells_ground = True

    def __init__(self, threshold: Union[str, float] = 'otsu', min_area: float = 0.01) -> None:
        if threshold != 'otsu' and not (is_finite(threshold) and 0 <= threshold < 1):
            raise ValueError(f"threshold={threshold!r} of {type(self).__name__}: give 'otsu' or a number from 0 to "
                             'less than 1')
        if not (is_finite(min_area) and 0 <= min_area < 0.5):
            raise ValueError(f'min_area={min_area!r} of {type(self).__name__} is a share of the image: give a number '
                             'from 0 to less than 0.5')
        self.threshold, self.min_area = threshold, min_area

    @abstractmethod
    def saliency(self, image: np.ndarray, stem: Optional[str] = None) -> np.ndarray:
        """(H, W, 3) uint8 RGB -> (H, W) float32 in 0..1, larger on objects.

        Args:
            stem: path of the image below its folder, without suffix; for priors that read a file per image.
        """

    def mask(self, saliency: np.ndarray) -> np.ndarray:
        """(H, W) float32 in 0..1 -> (H, W) uint8, 255 on objects; all zero if the mask is not usable."""
        return clean_mask(saliency > self.level(saliency), self.min_area)

    def level(self, saliency: np.ndarray) -> float:
        """The value of a map above which a pixel belongs to an object, by ``threshold``."""
        return threshold_otsu(saliency) if self.threshold == 'otsu' else self.threshold

    def __call__(self, image: np.ndarray, stem: Optional[str] = None) -> np.ndarray:
        """(H, W, 3) uint8 RGB -> (H, W) uint8 mask: 0 is background, other values are objects."""
        check_image(image)
        return self.mask(self.saliency(image, stem))

    def describe(self) -> Dict[str, Any]:
        """The method, its parameters, and the labels that its weights have seen; can be written as JSON."""
        names = {
            name
            for cls in type(self).__mro__ if '__init__' in vars(cls) and issubclass(cls, Prior)
            for name, parameter in inspect.signature(cls.__init__).parameters.items()
            if name != 'self' and parameter.kind is not parameter.VAR_KEYWORD
        }
        parameters = {name: getattr(self, name) for name in sorted(names)}
        plain = json.loads(json.dumps(parameters, default=str))  # containers of a config as plain ones
        return dict(method=type(self).__name__, parameters=plain, labels=self.labels)


def check_image(image: np.ndarray) -> None:
    """Raise TypeError unless this is an (H, W, 3) uint8 array with pixels."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or \
            not image.size:
        found = f'{image.dtype} {image.shape}' if isinstance(image, np.ndarray) else type(image).__name__
        raise TypeError(f'a prior takes an RGB image as an array uint8 (H, W, 3), but got {found}')


def clean_mask(mask: np.ndarray, min_area: float) -> np.ndarray:
    """(H, W) bool -> (H, W) uint8 with 255 on objects.

    Objects (8-connected) under ``min_area`` of the image go, then holes (4-connected, off the border) under it are
    filled. All zero if objects then cover nothing, less than ``min_area``, or more than all but ``min_area``.
    """
    smallest = min_area * mask.size
    _, ids, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= smallest
    keep[0] = False
    mask = keep[ids]
    _, ids, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    fill = stats[:, cv2.CC_STAT_AREA] < smallest
    fill[0] = False
    fill[border_values(ids)] = False
    mask = mask | fill[ids]
    covered = mask.sum()
    is_usable = covered and smallest <= covered <= mask.size - smallest
    return mask.astype(np.uint8) * np.uint8(255 if is_usable else 0)


def shrink(image: np.ndarray, max_side: int) -> np.ndarray:
    """(H, W[, C]) -> the same picture with its longer side at most ``max_side``, pixels averaged."""
    scale = max_side / max(image.shape[:2])
    if scale >= 1:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def enlarge(saliency: np.ndarray, shape: tuple) -> np.ndarray:
    """(h, w) -> (H, W) float32, bilinear."""
    return cv2.resize(saliency.astype(np.float32), shape[1::-1], interpolation=cv2.INTER_LINEAR)


def rescale(values: np.ndarray) -> np.ndarray:
    """An array stretched to 0 to 1; zero where nothing varies."""
    low, high = values.min(), values.max()
    # rounding alone must not become a picture
    return (values - low) / (high - low) if high - low > 1e-6 * max(abs(high), abs(low)) else np.zeros_like(values)


def border_values(ids: np.ndarray) -> np.ndarray:
    """The values that occur on the border of an (H, W) map."""
    return np.unique(np.concatenate([ids[0], ids[-1], ids[:, 0], ids[:, -1]]))


def border_contact(segment: np.ndarray) -> float:
    """How much of a segment (h, w) bool lies on the border: its cells there over the square root of all its cells."""
    inner = segment[1:-1, 1:-1].sum()
    return float((segment.sum() - inner) / np.sqrt(max(segment.sum(), 1)))


def number_regions(regions: np.ndarray, min_area: float, max_regions: int) -> np.ndarray:
    """(H, W) ids -> (H, W) uint8: 1 is the largest region, at most ``max_regions``, 0 those under ``min_area`` and what
    is negative."""
    ids, places, counts = np.unique(regions, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind='stable')
    order = order[(ids[order] >= 0) & (counts[order] >= min_area * regions.size)][:max_regions]
    numbers = np.zeros(len(ids), np.uint8)
    numbers[order] = np.arange(1, len(order) + 1)
    return numbers[places].reshape(regions.shape)


def check_max_regions(prior: Prior) -> None:
    """Raise ValueError for a ``max_regions`` that an 8-bit mask cannot hold."""
    if not 1 <= prior.max_regions <= MAX_REGIONS:
        raise ValueError(f'max_regions={prior.max_regions!r} of {type(prior).__name__}: an 8-bit mask holds 1 to '
                         f'{MAX_REGIONS} regions')
