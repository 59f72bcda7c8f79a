"""The recorded geometry of a view, applied to feature maps."""
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

ROUNDINGS = (None, 'official')


def warp(feats: Tensor, crop_boxes: Tensor, flips: Tensor, rounding: Optional[str] = None) -> Tensor:
    """Crop, resize back and flip a batch of feature maps: (N, C, h, w) -> (N, C, h, w) float32.

    Args:
        feats: features of the whole frame.
        crop_boxes: (N, 4) x1, y1, x2, y2 in fractions of the frame.
        flips: (N,) bool, horizontal flip after the crop.
        rounding: ``'official'`` first rounds each box to whole cells, as the released code does
            (custom_transforms.py:190-238); the two views then differ by up to 1.8 cells at stride 4.

    Sampling is bilinear between cell centres, clamped at the border of the frame: every output cell is a weighted sum
    of four rows of the (cells, C) table, which for channels-last maps is 4 to 9 times cheaper than ``grid_sample`` and,
    unlike it, has a deterministic gradient on GPUs. In float32 whatever the input: on bfloat16 channels-last CPU
    tensors ``grid_sample`` returns garbage in torch 2.13.
    """
    if rounding not in ROUNDINGS:
        raise ValueError(f'rounding={rounding!r} is not one of {ROUNDINGS}')
    feats = feats.float()
    size = feats.shape[-2:]
    crop_boxes = crop_boxes.to(feats)
    if rounding == 'official':
        crop_boxes = _round_to_cells(crop_boxes, size)
    rows, row_weights = _taps(crop_boxes[:, 1], crop_boxes[:, 3], size[0])
    columns, column_weights = _taps(crop_boxes[:, 0], crop_boxes[:, 2], size[1], flips.to(feats.device))
    first_cells = torch.arange(len(feats), device=feats.device)[:, None, None] * size.numel()
    # (N, h, 1, 2, 1) and (N, 1, w, 1, 2): the four corners of every output cell
    cells = (first_cells + rows * size[1])[:, :, None, :, None] + columns[:, None, :, None, :]
    weights = row_weights[:, :, None, :, None] * column_weights[:, None, :, None, :]
    table = feats.permute(0, 2, 3, 1).flatten(0, 2)
    out = F.embedding_bag(cells.reshape(-1, 4), table, per_sample_weights=weights.reshape(-1, 4), mode='sum')
    return out.view(len(feats), *size, -1).permute(0, 3, 1, 2)


def warp_ids(ids: Tensor, crop_boxes: Tensor, flips: Tensor) -> Tensor:
    """Crop, resize back and flip maps of ids: (N, h, w) -> (N, h, w), each cell the id of the cell at its centre.

    Args:
        ids: of the whole frame.
        crop_boxes, flips: see :func:`warp`.
    """
    crop_boxes, flips, (height, width) = crop_boxes.to(ids.device), flips.to(ids.device), ids.shape[1:]
    rows = _centers(crop_boxes[:, 1], crop_boxes[:, 3], height)
    columns = _centers(crop_boxes[:, 0], crop_boxes[:, 2], width, flips)
    rows, columns = ((at * n).long().clamp(0, n - 1) for at, n in ((rows, height), (columns, width)))
    images = torch.arange(len(ids), device=ids.device)
    return ids[images[:, None, None], rows[:, :, None], columns[:, None]]


def _centers(low: Tensor, high: Tensor, n_cells: int, flips: Tensor = None) -> Tensor:
    """(N, n) centres of the output cells along one axis, in fractions of the frame."""
    centers = (torch.arange(n_cells, device=low.device) + 0.5) / n_cells
    positions = low[:, None] + (high - low)[:, None] * centers
    return positions if flips is None else torch.where(flips[:, None], positions.flip(1), positions)


def _taps(low: Tensor, high: Tensor, n_cells: int, flips: Tensor = None):
    """Along one axis, the two cells (N, n, 2) that each output cell lies between, and their weights (N, n, 2)."""
    positions = _centers(low, high, n_cells, flips)
    positions = (positions * n_cells - 0.5).clamp(0, n_cells - 1)
    first = positions.floor()
    share = positions - first
    cells = torch.stack([first, (first + 1).clamp(max=n_cells - 1)], 2).long()
    return cells, torch.stack([1 - share, share], 2)


def _round_to_cells(boxes: Tensor, size: torch.Size) -> Tensor:
    """Length floor(s S), start round((S - floor(s S)) u), where u is the relative offset that was drawn."""
    cells = boxes.new_tensor([size[1], size[0]])
    length = boxes[:, 2:] - boxes[:, :2]
    offset = boxes[:, :2] / (1 - length).clamp(min=1e-6)
    n_cells = torch.floor(length * cells + 1e-4)  # a whole number of cells must survive float rounding
    start = torch.round((cells - n_cells) * offset)
    return torch.cat([start, start + n_cells], 1) / cells.repeat(2)
