"""Masks of an image by the principal directions of its features, as PriMaPs makes them."""
from typing import List, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

# How much steeper masks become before they are compared with the background.
_GAIN = 10


def principal_masks(feats: Tensor, threshold: float = 0.4, covered: float = 0.95, max_masks: Optional[int] = None,
                    directions: Optional[Tensor] = None) -> Tensor:
    """(C, h, w) features -> (M, h, w) masks in 0 to 1, one after another, of cells that no earlier mask has.

    The principal direction of the cells that are free leads to the free cell that is most like it, the anchor; its mask
    are the cosines of the free cells with the anchor.

    Args:
        threshold: cosines below this share of the largest one become 0.
        covered: share of the cells after which there is no further mask.
        max_masks: M at most.
        directions: (M, C) directions of any sign, in place of those of the features. Where all free cells are on the
            other side of one, the first cell that has a mask is the anchor, as in the released code.

    Raises:
        ValueError: there are fewer than 2x2 cells.

    Source: Hahn et al., Boosting Unsupervised Semantic Segmentation with Principal Mask Proposals, TMLR 2024, section
    3.1. There a direction comes from a randomised solver, and its sign is arbitrary; here it is exact, and points to
    the side of the mean.
    """
    if feats.ndim != 3 or min(feats.shape[1:]) < 2:
        raise ValueError(f'principal masks need features (C, h, w) of at least 2x2 cells, but got '
                         f'{tuple(feats.shape)}: enlarge the image')
    raw = feats.flatten(1)
    cells = F.normalize(raw, dim=0, eps=1e-10)
    free = cells.square().sum(0) > 0.5  # a cell without features is like no other
    masks: List[Tensor] = []
    limit = feats[0].numel() if max_masks is None else max_masks
    limit, taken = (limit, -torch.inf) if directions is None else (min(limit, len(directions)), 0.)
    while len(masks) < limit and free.any() and (~free).sum() < covered * free.numel():
        direction = principal_direction(raw[:, free]) if directions is None else directions[len(masks)].to(cells)
        anchor = (direction @ cells).masked_fill(~free, taken).argmax()
        similarity = (cells[:, anchor] @ cells) * free
        top = similarity.max().clamp(min=1e-10)
        masks.append(torch.where(similarity < threshold * top, 0, similarity) / top)
        free = free & (masks[-1] <= 0)
    return torch.stack(masks).view(-1, *feats.shape[1:]) if masks else feats.new_zeros(0, *feats.shape[1:])


def principal_direction(cells: Tensor) -> Tensor:
    """(C, n) -> (C,) unit vector along which cells vary the most, on the side of their mean.

    Solved exactly in float64, on the covariance or on the products of cells, whichever is smaller.
    """
    mean = cells.double().mean(1)
    centered = cells.double() - mean[:, None]
    if len(cells) <= cells.shape[1]:
        direction = torch.linalg.eigh(centered @ centered.t())[1][:, -1]
    else:
        direction = F.normalize(centered @ torch.linalg.eigh(centered.t() @ centered)[1][:, -1], dim=0)
    return towards(direction[None], mean, 1e-12)[0].to(cells)


def towards(directions: Tensor, mean: Tensor, tolerance: float) -> Tensor:
    """(D, C) directions of any sign -> the same, each on the side of the (C,) mean; where that lies within
    ``tolerance`` of both sides and says nothing, the entry of largest magnitude is positive."""
    sides = directions @ mean
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))[:, 0]
    return directions * torch.where(sides.abs() > tolerance, sides, largest).sign()[:, None]


def mask_log_probabilities(masks: Tensor) -> Tensor:
    """(M, h, w) principal masks -> (1 + M, h, w) logarithms of probabilities, the background first.

    Masks are smoothed by a median of 3x3 cells; background is what is far below the mean of all cells in masks.

    Source: as :func:`principal_masks`.
    """
    padded = F.pad(masks[None], (1, 1, 1, 1), mode='reflect')[0]
    smooth = padded.unfold(1, 3, 1).unfold(2, 3, 1).flatten(-2).median(-1).values
    steep = (_GAIN * smooth).clamp(0, 1)
    inside = steep[steep != 0]
    level = inside.mean() if len(inside) else steep.new_zeros(())
    background = (level - steep.sum(0)).clamp(0, 1)
    return F.log_softmax(torch.cat([background[None], steep]), 0)
