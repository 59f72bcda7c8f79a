"""Large images in overlapping tiles, whose scores are blended."""
from typing import Callable, Iterator, List, Tuple

import numpy as np
import torch
from torch import Tensor


def tile_starts(length: int, tile: int, overlap: int) -> List[int]:
    """Where tiles of ``tile`` pixels start that cover a side evenly; neighbours share ``overlap`` pixels at least."""
    if length <= tile:
        return [0]
    n_tiles = -(-(length - overlap) // (tile - overlap))
    return [round(i * (length - tile) / (n_tiles - 1)) for i in range(n_tiles)]


def blend_tiles(shape: Tuple[int, int], tile: int, overlap: int, n_clusters: int,
                tile_scores: Callable[[List[Tuple[slice, slice]]], Iterator[Tensor]]) -> Iterator[Tuple[slice, Tensor]]:
    """Yield ``(rows, scores)`` of an image from top to bottom: (K, rows, W), where tiles overlap their weighted mean.

    The weight of a tile falls linearly towards a side at which another tile goes on. One row of tiles is in memory at a
    time, K x ``tile`` x W numbers.

    Args:
        shape: (H, W).
        tile, overlap: pixels of the side of a tile, and what two neighbours share at least.
        tile_scores: boxes (rows, columns) of a row of tiles -> their (K, h, w) scores at the size of the box.
    """
    height, width = (min(tile, side) for side in shape)
    tops, lefts = (tile_starts(side, tile, overlap) for side in shape)
    sums = weights = None
    for i, top in enumerate(tops):
        boxes = [(slice(top, top + height), slice(left, left + width)) for left in lefts]
        down = _ramp(height, overlap, i > 0, i < len(tops) - 1)
        for j, scores in enumerate(tile_scores(boxes)):
            if sums is None:
                sums, weights = scores.new_zeros(n_clusters, height, shape[1]), scores.new_zeros(height, shape[1])
            weight = torch.outer(down, _ramp(width, overlap, j > 0, j < len(lefts) - 1)).to(scores)
            sums[:, :, boxes[j][1]] += scores * weight
            weights[:, boxes[j][1]] += weight
        finished = (tops[i + 1] if i + 1 < len(tops) else top + height) - top
        yield slice(top, top + finished), sums[:, :finished] / weights[:finished]
        for kept in (sums, weights):  # what the next row of tiles overlaps moves up
            rest = kept[..., finished:, :].clone()
            kept.zero_()
            kept[..., :rest.size(-2), :] = rest


def _ramp(length: int, overlap: int, rises: bool, falls: bool) -> Tensor:
    """Weights (length,) of a tile, which rise and fall over what it shares with its neighbours."""
    ramp = torch.from_numpy(np.minimum(1., (np.arange(length) + 0.5) / max(overlap, 1))).float()
    weights = torch.ones(length)
    if rises:
        weights = torch.minimum(weights, ramp)
    if falls:
        weights = torch.minimum(weights, ramp.flip(0))
    return weights
