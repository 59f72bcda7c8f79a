"""Modularity: codes that join the cells of an image which are more alike than their numbers of neighbours say.

Letters: N images, P cells, C channels, K codes.
"""
import torch
import torch.nn.functional as F
from torch import Tensor

_MAX_NUMBERS = 1 << 24  # of products at a time


def modularity_loss(cells: Tensor, codes: Tensor, temperature: float = 0.1) -> Tensor:
    """Minus the modularity of the communities that codes make of the cells of an image, the mean over the images.

    The graph of an image has the positive cosines of its cells as weights. Two cells are in one community as far as one
    code is like both.

    Args:
        cells: (N, P, C) features, which get no gradient where they need none.
        codes: (K, C).
        temperature: the smaller, the less like a cell a code must be.

    Source: CAUSE (arXiv 2310.07379), section 3.2.
    """
    with torch.autocast(cells.device.type, enabled=False):
        units = F.normalize(cells.float(), dim=2)
        alike = torch.matmul(units, F.normalize(codes.float(), dim=1).t()).clamp(min=0)
        return -(modularity_matrix(units) * communities(alike, temperature)).sum((1, 2)).mean()


def modularity_matrix(units: Tensor) -> Tensor:
    """(N, P, C) cells of unit length -> (N, P, P): weights minus those expected of a random graph with the same
    degrees, in shares of all weights; zero for an image of which no two cells are alike."""
    weights = torch.matmul(units, units.mT).clamp(min=0)
    weights = weights * (1 - torch.eye(units.size(1), device=units.device))
    degrees, total = weights.sum(2, keepdim=True), weights.sum((1, 2), keepdim=True)
    total = total.clamp(min=torch.finfo(total.dtype).tiny)
    return (weights - torch.matmul(degrees, degrees.mT) / total) / total


def communities(alike: Tensor, temperature: float) -> Tensor:
    """(N, P, K) cosines with codes, none negative -> (N, P, P) how far a code is like both cells, from 0 to 1.

    That is the maximum over the codes of ``tanh(c_ik c_jk / temperature)``; since tanh grows, the code of the largest
    product is found first, without the N K P P numbers of all of them in the memory.
    """
    with torch.no_grad():
        best = torch.stack([_largest_product(of_image) for of_image in alike])  # (N, P, P)
    shared = alike.gather(2, best) * alike.gather(2, best.mT).mT
    return torch.tanh(shared / temperature)


def _largest_product(alike: Tensor) -> Tensor:
    """(P, K) -> (P, P) int64, the code with the largest product of two cells."""
    rows = max(1, _MAX_NUMBERS // alike.numel())
    return torch.cat([(some[:, None] * alike).argmax(2) for some in alike.split(rows)])
