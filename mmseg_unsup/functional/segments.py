"""Segments of an image, and what describes them."""
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from skimage.measure import label
from torch import Tensor


def connected_segments(clusters: Tensor) -> Tensor:
    """(N, h, w) integers -> (N, h, w) int64 ids of 4-connected segments of one cluster, 0 to S - 1 in every image.

    Negative values belong to no segment and become -1.
    """
    maps = [label(of_image, background=-1, connectivity=1) - 1 for of_image in clusters.clamp(min=-1).cpu().numpy()]
    return torch.stack([torch.from_numpy(ids) for ids in maps]).long().to(clusters.device)


def describe_segments(feats: Tensor, ids: Tensor, n_segments: Optional[int] = None) -> Tuple[Tensor, Tensor]:
    """(C, h, w) features, (h, w) ids -> (S, C) sums of the cells of each segment, of unit length, and (S,) sizes.

    Args:
        n_segments: S, if more than there are on the grid; the others have size 0 and a zero vector.
    """
    inside = ids.flatten() >= 0
    of_cells = ids.flatten()[inside]
    if n_segments is None:
        n_segments = int(of_cells.max()) + 1 if len(of_cells) else 0
    # a product, not index_add_, whose order of summation on GPUs is not fixed
    members = (of_cells[:, None] == torch.arange(n_segments, device=ids.device)).to(feats)
    sums = members.t() @ feats.flatten(1).t()[inside]
    return F.normalize(sums, dim=1), members.sum(0)
