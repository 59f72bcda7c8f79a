"""Scores of the cells of a feature map; the largest wins."""
from typing import Optional

from torch import Tensor


def linear_scores(feats: Tensor, weight: Tensor, bias: Optional[Tensor] = None) -> Tensor:
    """(N, C, h, w), (K, C), (K,) -> (N, K, h, w)."""
    scores = feats.permute(0, 2, 3, 1) @ weight.t()  # a cell a row, which channels-last maps are in memory
    return (scores if bias is None else scores + bias).permute(0, 3, 1, 2)


def prototype_scores(feats: Tensor, prototypes: Tensor, distance: str = 'euclidean') -> Tensor:
    """(N, C, h, w), (K, C) -> (N, K, h, w): ``f.mu - |mu|^2 / 2``, by which the nearest wins, or ``'dot'``,
    ``f.mu``."""
    return linear_scores(feats, prototypes, -0.5 * prototypes.square().sum(1) if distance == 'euclidean' else None)
