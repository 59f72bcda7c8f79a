"""Scores made to follow the edges of the image by a local linear filter."""
from typing import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ..utils.checks import check_count, check_positive


class GuidedFilter:
    """The guided filter with a colour image as guide: in every window the result is a linear function of the colours.

    It costs the same whatever the radius, needs no other package, and its memory does not grow with the number of
    classes where they are taken one by one.

    Args:
        radius: pixels from the centre of a window to its border.
        epsilon: what variance of colours, which are 0 to 1, counts as none; larger is smoother.

    Source: He, Sun, Tang: Guided image filtering (TPAMI 2013), section 3.3.

    Raises:
        ValueError: ``radius`` is no whole number from 1 on, or ``epsilon`` not positive.
    """

    def __init__(self, radius: int = 8, epsilon: float = 1e-3) -> None:
        check_count('radius of the guided filter', radius)
        check_positive('epsilon of the guided filter', epsilon)
        self.radius, self.epsilon = radius, epsilon

    def coefficients(self, image: Tensor, scores: Tensor) -> Iterator[Tensor]:
        """(H, W, 3) uint8 RGB, (K, H, W) -> of each class (4, H, W) float32, on the device of the scores: the slopes
        for the three colours, and the offset, of the linear function at every pixel."""
        guide = as_guide(image, scores.device)
        sizes = self._sums(torch.ones_like(guide[:1]))
        means = self._sums(guide) / sizes
        products = torch.stack([guide[i] * guide[j] for i in range(3) for j in range(3)])
        covariance = (self._sums(products) / sizes).view(3, 3, *guide.shape[1:]) - means[:, None] * means
        covariance = covariance.permute(2, 3, 0, 1) + self.epsilon * torch.eye(3, device=guide.device)
        inverse = torch.linalg.inv(covariance)
        for of_class in scores:
            of_class = of_class.float()[None]
            mean = self._sums(of_class) / sizes
            with_guide = (self._sums(of_class * guide) / sizes - mean * means).permute(1, 2, 0)
            slope = (inverse @ with_guide[..., None])[..., 0].permute(2, 0, 1)
            offset = mean - (slope * means).sum(0, keepdim=True)
            yield self._sums(torch.cat([slope, offset])) / sizes

    def _sums(self, maps: Tensor) -> Tensor:
        """(C, H, W) -> the sums of the windows, cut at the border."""
        for axis in (1, 2):
            padded = F.pad(maps.cumsum(axis, dtype=torch.double).transpose(axis, -1), (1, 0))
            n = maps.size(axis)
            at = torch.arange(n, device=maps.device)
            high, low = (at + self.radius + 1).clamp(max=n), (at - self.radius).clamp(min=0)
            maps = (padded[..., high] - padded[..., low]).transpose(axis, -1)
        return maps.float()


def as_guide(image: Tensor, device: torch.device) -> Tensor:
    """(H, W, 3) uint8 -> (3, H, W) float32 colours from 0 to 1."""
    return image.to(device).permute(2, 0, 1).float() / 255


def apply_coefficients(coefficients: Tensor, guide: Tensor) -> Tensor:
    """(4, H, W), (3, H, W) colours -> (H, W)."""
    return (coefficients[:3] * guide).sum(0) + coefficients[3]
