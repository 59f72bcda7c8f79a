"""From scores on the feature grid to a map of winners at the size of the file."""
from typing import Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

# Bytes of the enlarged scores at a time.
_BLOCK_BYTES = 2**26


def class_map(scores: Tensor, img_meta: dict, align_corners: bool = False) -> Tensor:
    """(K, h, w) scores of an image -> (H, W) int16 index of the largest, see :func:`winner_map`."""
    return winner_map(scores, img_meta, align_corners)[0]


def winner_map(scores: Tensor, img_meta: dict, align_corners: bool = False) -> Tuple[Tensor, Tensor]:
    """(K, h, w) scores of an image -> (H, W) int16 index of the largest, and (H, W) that score.

    The map that mmseg's ``postprocess_result`` makes, without its (K, H, W) scores in memory: channels are enlarged in
    blocks, bilinearly to the size of the input and from there to ``ori_shape``.

    Args:
        img_meta: ``img_shape``, ``ori_shape`` and, where there are, ``pad_shape``, ``padding_size``, ``flip``.
    """
    height, width = img_meta['ori_shape'][:2]
    per_block = max(1, _BLOCK_BYTES // (4 * height * width))
    best, winner = None, None
    for start in range(0, len(scores), per_block):
        values, index = to_image_size(scores[start:start + per_block], img_meta, align_corners).max(0)
        if best is None:
            best, winner = values, index
        else:
            wins = values > best
            best, winner = torch.where(wins, values, best), torch.where(wins, index + start, winner)
    return winner.short(), best


def to_image_size(scores: Tensor, img_meta: dict, align_corners: bool) -> Tensor:
    """(k, h, w) -> (k, H, W), bilinearly to the size of the input and from there to ``ori_shape``."""
    height, width = img_meta.get('pad_shape', img_meta['img_shape'])[:2]
    scores = F.interpolate(scores[None], (height, width), mode='bilinear', align_corners=align_corners)
    left, right, top, bottom = img_meta.get('img_padding_size', img_meta.get('padding_size', [0] * 4))
    scores = scores[..., top:height - bottom, left:width - right]
    if img_meta.get('flip'):
        scores = scores.flip(3 if img_meta['flip_direction'] == 'horizontal' else 2)
    size = tuple(img_meta['ori_shape'][:2])
    return F.interpolate(scores, size, mode='bilinear', align_corners=align_corners)[0]
