"""Embeddings of pixels as rows, and their means over objects."""
from typing import Tuple

import torch
import torch.nn.functional as F
from torch import Tensor


def resize_ids(ids: Tensor, size: Tuple[int, int]) -> Tensor:
    """(N, H, W) object ids -> (N, *size), each cell the id of the pixel at its centre."""
    if tuple(ids.shape[-2:]) == tuple(size):
        return ids
    return F.interpolate(ids[:, None].float(), tuple(size), mode='nearest-exact')[:, 0].to(ids.dtype)


def object_means(feats: Tensor, ids: Tensor, n_objects: int) -> Tuple[Tensor, Tensor]:
    """Unit-length means of the unit-length embeddings of every object.

    Args:
        feats: (N, D, h, w) embeddings of any length.
        ids: (N, h, w) object ids from 1 on within their image; 0 is background.
        n_objects: M, the largest id that counts.

    Returns:
        tuple: (N M, D) float32 means, image by image, zero for an object that is not there, and (N M,) bool whether it
        is there.
    """
    with torch.autocast(feats.device.type, enabled=False):
        rows = F.normalize(feats.float(), dim=1).flatten(2).transpose(1, 2)  # (N, h w, D)
        objects = torch.arange(1, n_objects + 1, device=ids.device)
        members = ids.flatten(1)[:, None] == objects[:, None]  # (N, M, h w)
        # a product, not a scatter: its sums have one order on every device
        sums = torch.bmm(members.float(), rows).flatten(0, 1)
        return F.normalize(sums, dim=1), members.any(2).flatten()


def object_rows(feats: Tensor, ids: Tensor, n_objects: int) -> Tuple[Tensor, Tensor]:
    """The embeddings of all object pixels: (n, D) of unit length, and (n,) the row of their object in
    :func:`object_means`."""
    inside = torch.nonzero(ids > 0, as_tuple=True)  # once for both: the host waits for it
    rows = F.normalize(feats.permute(0, 2, 3, 1)[inside].float(), dim=1)
    return rows, _object_index(ids, n_objects)[inside]


def sample_object_rows(feats: Tensor, ids: Tensor, n_objects: int, count: int) -> Tuple[Tensor, Tensor]:
    """The embeddings of at most ``count`` random object pixels an image, bilinear there; otherwise as
    :func:`object_rows`.

    ``ids`` may be finer than ``feats``. Draws from the generator of torch on the device of ``ids``.
    """
    height, width = ids.shape[-2:]
    flat = ids.flatten(1)
    order = torch.rand(flat.shape, device=ids.device).masked_fill(flat == 0, -1)
    scores, pixels = order.topk(min(count, flat.size(1)), dim=1)
    y = torch.div(pixels, width, rounding_mode='floor')
    points = torch.stack([(pixels % width + 0.5) / width, (y + 0.5) / height], -1) * 2 - 1
    # the border is repeated, as in bilinear interpolation of the whole map
    sampled = F.grid_sample(feats.float(), points[:, :, None], padding_mode='border', align_corners=False)[..., 0]
    drawn = torch.nonzero(scores >= 0, as_tuple=True)
    objects = _object_index(ids, n_objects).flatten(1).gather(1, pixels)
    return F.normalize(sampled.transpose(1, 2)[drawn], dim=1), objects[drawn]


def _object_index(ids: Tensor, n_objects: int) -> Tensor:
    """(N, H, W) int64 row of each pixel's object; meaningless for background."""
    first = torch.arange(len(ids), device=ids.device)[:, None, None] * n_objects
    return first + ids.long() - 1
