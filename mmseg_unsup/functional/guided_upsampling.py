"""Maps of any size brought to the pixels of an image, along its edges."""
import math
from typing import Iterator, Tuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .guided_filter import GuidedFilter, apply_coefficients, as_guide

_STRIP_PIXELS, _BLOCK = 2**19, 32  # pixels and classes that are looked at together


class GuidedUpsampling:
    """The fast guided filter: its linear functions of the colours are found on a smaller image and enlarged.

    A pixel depends on these functions and its own colour alone: strips of an image are what it is in one piece.

    Args:
        radius: of the filter, see :class:`GuidedFilter`, in pixels of the smaller image; at least that of a cell.
        epsilon: see :class:`GuidedFilter`.
        max_pixels: of the smaller image; at least those of the maps.

    Source: He, Sun: Fast guided filter (arXiv 1505.00996).

    Raises:
        ValueError: see :class:`GuidedFilter`.
    """

    def __init__(self, radius: int = 4, epsilon: float = 1e-3, max_pixels: int = 2**15) -> None:
        GuidedFilter(radius, epsilon)  # refuses what cannot be
        self.radius, self.epsilon, self.max_pixels = radius, epsilon, max_pixels

    def __call__(self, image: np.ndarray, maps: Tensor) -> Tensor:
        """(H, W, 3) uint8 RGB, (K, h, w) -> (K, H, W) float32."""
        coefficients, shape = [*self._coefficients(image, maps)], image.shape[:2]
        found = torch.empty(len(maps), *shape, device=maps.device)
        for rows in strips(shape):
            guide = as_guide(torch.from_numpy(image[rows]), maps.device)
            for of_class, target in zip(coefficients, found):
                target[rows] = apply_coefficients(enlarged_rows(of_class, rows, shape), guide)
        return found

    def winner(self, image: np.ndarray, maps: Tensor) -> Tensor:
        """The same input -> (H, W) int16 index of the largest, without (K, H, W) numbers in memory."""
        shape = image.shape[:2]
        best = torch.full(shape, -math.inf, device=maps.device)
        winner = torch.zeros(shape, dtype=torch.int16, device=maps.device)
        for start in range(0, len(maps), _BLOCK):
            block = [*self._coefficients(image, maps[start:start + _BLOCK])]
            for rows in strips(shape):
                guide = as_guide(torch.from_numpy(image[rows]), maps.device)
                for k, of_class in enumerate(block, start):
                    values = apply_coefficients(enlarged_rows(of_class, rows, shape), guide)
                    winner[rows].masked_fill_(values > best[rows], k)
                    torch.maximum(best[rows], values, out=best[rows])
        return winner

    def _coefficients(self, image: np.ndarray, maps: Tensor) -> Iterator[Tensor]:
        """Of each map, (4, h', w'), see :meth:`GuidedFilter.coefficients`."""
        grid = fitted(image.shape[:2], max(self.max_pixels, maps[0].numel()))
        radius = max(self.radius, *(math.ceil(pixels / cells) for pixels, cells in zip(grid, maps.shape[1:])))
        enlarged = F.interpolate(maps[None], grid, mode='bilinear', align_corners=False)[0]
        small = torch.from_numpy(shrunk_to(image, grid))
        return GuidedFilter(radius, self.epsilon).coefficients(small, enlarged)

    def bytes_needed(self, n_maps: int) -> int:
        """Memory beside image and result, about."""
        return 4 * self.max_pixels * (n_maps + 4 * min(n_maps, _BLOCK) + 50)


def fitted(shape: Tuple[int, int], max_pixels: int) -> Tuple[int, int]:
    """(H, W), made smaller in the same proportions to have at most so many pixels."""
    scale = min(1., math.sqrt(max_pixels / (shape[0] * shape[1])))
    return max(1, int(shape[0] * scale)), max(1, int(shape[1] * scale))


def shrunk_to(image: np.ndarray, shape: Tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8 -> of a smaller shape, by the means of areas."""
    return np.ascontiguousarray(image) if image.shape[:2] == shape else cv2.resize(
        image, shape[::-1], interpolation=cv2.INTER_AREA)


def enlarged_rows(maps: Tensor, rows: slice, shape: Tuple[int, int]) -> Tensor:
    """(C, h, w) -> (C, n, W), these rows of the maps enlarged bilinearly to a shape (H, W)."""
    at = (torch.arange(rows.start, rows.stop, device=maps.device) + 0.5) * (maps.size(1) / shape[0]) - 0.5
    at = at.clamp(0, maps.size(1) - 1)
    above = at.long()
    below = (above + 1).clamp(max=maps.size(1) - 1)
    of_rows = torch.lerp(maps[:, above], maps[:, below], (at - above)[:, None])
    return F.interpolate(of_rows[None], (len(at), shape[1]), mode='bilinear', align_corners=False)[0]


def strips(shape: Tuple[int, int]) -> Iterator[slice]:
    """Rows of an image (H, W), some at a time."""
    step = max(1, _STRIP_PIXELS // shape[1])
    return (slice(top, min(top + step, shape[0])) for top in range(0, shape[0], step))
