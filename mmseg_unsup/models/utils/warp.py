"""The recorded geometry of a view, applied to feature maps."""
import torch
import torch.nn.functional as F
from torch import Tensor

ROUNDINGS = (None, 'official')


def warp(feats: Tensor, crop_boxes: Tensor, flips: Tensor, rounding: str = None) -> Tensor:
    """Crop, resize back and flip a batch of feature maps: (N, C, h, w) -> (N, C, h, w) float32.

    Args:
        feats: features of the whole frame.
        crop_boxes: (N, 4) x1, y1, x2, y2 in fractions of the frame.
        flips: (N,) bool, horizontal flip after the crop.
        rounding: ``'official'`` first rounds each box to whole cells, as the released code does
            (custom_transforms.py:190-238); the two views then differ by up to 1.8 cells at stride 4.

    Sampling is bilinear between cell centres. It runs in float32: ``grid_sample`` on bfloat16 channels-last CPU
    tensors returns garbage in torch 2.13.
    """
    if rounding not in ROUNDINGS:
        raise ValueError(f'rounding={rounding!r} is not one of {ROUNDINGS}')
    feats = feats.float()
    crop_boxes = crop_boxes.to(feats)
    if rounding == 'official':
        crop_boxes = _round_to_cells(crop_boxes, feats.shape[-2:])
    low, high = crop_boxes[:, :2] * 2 - 1, crop_boxes[:, 2:] * 2 - 1  # grid_sample's frame is [-1, 1]
    scale, center = (high - low) / 2, (high + low) / 2
    sign = 1 - 2 * flips.to(feats)
    theta = feats.new_zeros((len(feats), 2, 3))
    theta[:, 0, 0], theta[:, 1, 1] = scale[:, 0] * sign, scale[:, 1]
    theta[:, :, 2] = center
    grid = F.affine_grid(theta, list(feats.shape), align_corners=False)
    return F.grid_sample(feats.contiguous(), grid, mode='bilinear', padding_mode='border', align_corners=False)


def _round_to_cells(boxes: Tensor, size: torch.Size) -> Tensor:
    """Length floor(s S), start round((S - floor(s S)) u), where u is the relative offset that was drawn."""
    cells = boxes.new_tensor([size[1], size[0]])
    length = boxes[:, 2:] - boxes[:, :2]
    offset = boxes[:, :2] / (1 - length).clamp(min=1e-6)
    n_cells = torch.floor(length * cells + 1e-4)  # a whole number of cells must survive float rounding
    start = torch.round((cells - n_cells) * offset)
    return torch.cat([start, start + n_cells], 1) / cells.repeat(2)
