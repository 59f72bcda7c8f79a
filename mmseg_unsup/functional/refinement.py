"""Maps of winners that follow the edges of an image, at its full size."""
from typing import Iterable, Optional, Tuple

import numpy as np
import torch
from torch import Tensor

from ..utils.checks import check_count
from .crf import build_crf
from .guided_upsampling import fitted, shrunk_to, strips

_MAX_PIXELS = 2**18
_SPREAD, _LEAST = 0.6, 1e-12


class Refinement:
    """Refines the scores of a whole image by a CRF, and finds the winners at its full size.

    The CRF sees the image on a grid of at most ``max_pixels``, a larger image made smaller, so that scores which come
    tile by tile are kept on this grid only. Its probabilities are brought to the pixels by guided upsampling.

    Args:
        method, settings: see :func:`build_crf`; distances are pixels of the grid.
        temperature: of the CRF; None for 0.6 standard deviations of the scores of a cell, on average over the image:
            cosines, distances and shares of votes have no scale of their own.
        max_pixels: of the grid.

    Raises:
        ImportError, ValueError: see :func:`build_crf`.
    """

    def __init__(self, method: str = 'exact', temperature: Optional[float] = None, max_pixels: int = _MAX_PIXELS,
                 **settings) -> None:
        check_count('max_pixels of a refinement', max_pixels)
        self.is_relative, self.max_pixels = temperature is None, max_pixels
        self.crf = build_crf(method, temperature=1. if temperature is None else temperature, **settings)

    def grid(self, shape: Tuple[int, int]) -> Tuple[int, int]:
        """(H, W) of an image -> (h, w) of its grid."""
        return fitted(shape, self.max_pixels)

    def gathered(self, shape: Tuple[int, int], rows_and_scores: Iterable[Tuple[slice, Tensor]]) -> Tensor:
        """Rows of an image (H, W) and their (K, n, W) scores, from top to bottom -> the (K, h, w) scores of its grid,
        those at the centres of the cells."""
        ys, xs = (_centers(cells, pixels) for cells, pixels in zip(self.grid(shape), shape))
        kept = []
        for rows, scores in rows_and_scores:
            first, last = np.searchsorted(ys, (rows.start, rows.stop))
            kept.append(scores[:, ys[first:last] - rows.start][:, :, xs])
        return torch.cat(kept, 1)

    @torch.no_grad()
    def winners(self, image: np.ndarray, scores: Tensor) -> Tuple[Tensor, Tensor]:
        """(H, W, 3) uint8 RGB, (K, h, w) scores on its grid -> (H, W) int16 index of the most probable, and (H, W)
        float32 its score."""
        logits = scores / (_SPREAD * scores.std(0).mean()).clamp(min=_LEAST) if self.is_relative else scores
        field = self.crf.field(shrunk_to(image, tuple(scores.shape[1:])), logits)
        if field.shape[1:] == image.shape[:2]:
            winner = field.argmax(0).short()
        else:
            winner = self.crf.upsampling.winner(image, field.log())
        return winner, _scores_of(winner, scores)

    def bytes_needed(self, shape: Tuple[int, int], n_clusters: int) -> int:
        """Memory beside the image and its map, about."""
        height, width = self.grid(shape)
        return self.crf.bytes_needed(height * width, n_clusters) + self.crf.upsampling.bytes_needed(n_clusters)


def _centers(n_cells: int, n_pixels: int) -> np.ndarray:
    """(n_cells,) pixels in which the centres of the cells of a side are."""
    return np.minimum(((np.arange(n_cells) + 0.5) * n_pixels / n_cells).astype(int), n_pixels - 1)


def _scores_of(winner: Tensor, scores: Tensor) -> Tensor:
    """(H, W) classes, (K, h, w) -> (H, W) float32 score of the class in the cell that a pixel lies in."""
    shape, grid = winner.shape, scores.shape[1:]
    ys, xs = (torch.arange(n, device=scores.device) * cells // n for n, cells in zip(shape, grid))
    found = torch.empty(shape, device=scores.device)
    for rows in strips(shape):
        found[rows] = scores[winner[rows].long(), ys[rows, None], xs]
    return found
