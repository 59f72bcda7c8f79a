"""From a map of clusters to segments."""
import torch
from skimage.measure import label
from torch import Tensor


def connected_segments(clusters: Tensor) -> Tensor:
    """(N, h, w) integers -> (N, h, w) int64 ids of 4-connected segments of one cluster, 0 to S - 1 in every image.

    Negative values belong to no segment and become -1.
    """
    maps = [label(of_image, background=-1, connectivity=1) - 1 for of_image in clusters.clamp(min=-1).cpu().numpy()]
    return torch.stack([torch.from_numpy(ids) for ids in maps]).long().to(clusters.device)
