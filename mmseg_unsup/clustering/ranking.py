"""Which images to label next."""
from typing import List

import torch
from torch import Tensor

from ..utils.checks import check_count


def rank_to_label(descriptors: Tensor, confidence: Tensor, known: Tensor, n_images: int) -> List[int]:
    """Images in the order in which their labels would help most; k-centre greedy, weighted by uncertainty.

    Each is the one with the largest product of ``1 - confidence`` and the cosine distance of its descriptor from the
    nearest of those that are labelled or were chosen before, so images that resemble a chosen one come later. Of equals
    the first one is taken; nothing is random.

    Args:
        descriptors: (N, C) of unit length, of the images without labels.
        confidence: (N,) from 0 to 1.
        known: (L, C) of unit length, of the images with labels; L may be 0.
        n_images: how many are wanted.

    Returns:
        indices, ``min(n_images, N)`` of them.

    Source: k-centre greedy is Core-Set (arXiv 1708.00489); the weight is ours.
    """
    check_count('n_images', n_images)
    distance = torch.full((len(descriptors), ), 2., device=descriptors.device)  # the largest there is
    for row in known:
        distance = torch.minimum(distance, 1 - descriptors @ row)
    doubt, chosen = (1 - confidence).to(distance), []
    is_free = torch.ones(len(descriptors), dtype=torch.bool, device=descriptors.device)
    for _ in range(min(n_images, len(descriptors))):
        worth = torch.where(is_free, doubt * distance.clamp(min=0), -1.)
        best = worth.argmax(0, keepdim=True)
        is_free[best] = False
        distance = torch.minimum(distance, 1 - descriptors @ descriptors[best][0])
        chosen.append(best)  # read at the end: a GPU is not waited for
    return torch.cat(chosen).tolist() if chosen else []
