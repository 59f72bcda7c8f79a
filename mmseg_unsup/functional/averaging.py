"""Features of an image as the mean over copies of it: of other sizes, and mirrored."""
from fractions import Fraction
from typing import Callable, Sequence, Tuple

import torch.nn.functional as F
from torch import Tensor

from ..utils.checks import is_finite

Maps = Tuple[Tensor, ...]
_MAX_DENOMINATOR = 1000


def check_scales(scales: Sequence[float], name: str = 'model.test_cfg.scales') -> None:
    """Raise ValueError if these are no factors of the size of images; ``name`` is what holds them."""
    is_list = isinstance(scales, (list, tuple)) and len(scales) > 0
    if not is_list or not all(is_finite(scale) and scale > 0 for scale in scales):
        raise ValueError(f'{name}={scales!r}: give factors of the size of an image, such as [1, 1.4]')


def averaged_maps(features: Callable[[Tensor], Maps], images: Tensor, scales: Sequence[float] = (1, ),
                  flip: bool = False) -> Maps:
    """The mean of the features of copies of images.

    What a network adds by the distance of a place from the borders, and by how large it shows a thing, differs between
    the copies and fades; what they have in common stays.

    Args:
        features: (N, 3, H', W') images -> maps (N, C, h', w').
        images: (N, 3, H, W); with a single scale of 1, whatever ``features`` takes and can be flipped.
        scales: of the copies; the grid is that of the first one.
        flip: take the mirror image of every copy, too, turned back.
    """
    total: Maps = ()
    for scale in scales:
        copies = images if scale == 1 else _resized(images, scale)
        maps = features(copies)
        if flip:
            maps = tuple((of_copy.float() + of_mirrored.float().flip(-1)) / 2
                         for of_copy, of_mirrored in zip(maps, features(copies.flip(-1))))
        total = tuple(sums + _resize(of_copy, sums) for sums, of_copy in zip(total, maps)) if total else maps
    return tuple(sums / len(scales) for sums in total) if len(scales) > 1 else total


def _resized(images: Tensor, scale: float) -> Tensor:
    if not isinstance(images, Tensor):
        raise ValueError('model.test_cfg.scales needs pixels, of which a feature cache has only the features: leave '
                         'one of them out')
    # in whole numbers, by which exported models follow images of any size
    factor = Fraction(scale).limit_denominator(_MAX_DENOMINATOR)
    size = [side * factor.numerator // factor.denominator for side in images.shape[2:]]
    return F.interpolate(images, size, mode='bicubic', align_corners=False, antialias=scale < 1)


def _resize(maps: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(maps.float(), like.shape[2:], mode='bilinear', align_corners=False)
