"""One cluster for all cells of a mask."""
import torch
from torch import Tensor

NO_MASK = 255


def majority_labels(clusters: Tensor, masks: Tensor, n_clusters: int) -> Tensor:
    """Every mask gets the cluster that most of its cells have, of as many the first.

    Args:
        clusters: (N, H, W) int64, below ``n_clusters``.
        masks: (N, H, W) uint8 ids of masks, each image has its own, 255 for none.

    Returns:
        Tensor: (N, H, W) int64 clusters, 255 where there is no mask.
    """
    ids = masks.long().flatten(1)
    counts = ids.new_zeros(len(ids), (NO_MASK + 1) * n_clusters)
    counts.scatter_add_(1, ids * n_clusters + clusters.flatten(1), torch.ones_like(ids))
    winners = counts.view(len(ids), NO_MASK + 1, n_clusters).argmax(2)
    return torch.where(ids == NO_MASK, NO_MASK, winners.gather(1, ids)).view_as(clusters)
