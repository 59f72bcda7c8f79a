"""Losses of features whose correlations are to follow those of frozen ones: STEGO and what comes after it.

Letters: N images, C channels, S points of a side, h w cells.
"""
from typing import List, NamedTuple, Optional, Union

import torch
import torch.nn.functional as F
from mmengine.dist import get_world_size
from torch import Tensor

from ...utils.whole_batch import own_draws

_EPS = 1e-10  # of the released code


class Term(NamedTuple):
    """What one kind of pairs adds to the loss."""
    weight: Union[float, Tensor]
    shift: Union[float, Tensor]  # a correlation above it draws codes together, one below pushes them apart


def random_points(n_images: int, side: int, device: torch.device) -> Tensor:
    """(N, S, S, 2) uniform points (x, y) of the images of this process, from -1 to 1; drawn on the host, as a GPU draws
    other numbers."""
    return own_draws(lambda n: torch.rand(n, side, side, 2) * 2 - 1, n_images, device)


def sample_points(maps: Tensor, points: Tensor) -> Tensor:
    """(N, C, h, w) maps at (N, S, S, 2) points -> (N, C, S, S), bilinear, -1 and 1 being the centres of border cells.

    Axes of points and result are swapped, as in the released code; what is drawn at random does not care.
    """
    return F.grid_sample(maps, points.transpose(1, 2), mode='bilinear', padding_mode='border', align_corners=True)


def correlations(first: Tensor, second: Tensor) -> Tensor:
    """(N, C, a, b) and (N, C, c, d) -> the cosines (N, a, b, c, d) of all their cells, image by image."""
    units = [F.normalize(maps, dim=1, eps=_EPS) for maps in (first, second)]
    return torch.einsum('ncab,ncde->nabde', *units)


def centred(found: Tensor, mean: Optional[Tensor] = None) -> Tensor:
    """Correlations from which every cell's mean over the cells of the other image is taken, their mean over all kept:
    cells that are like everything lose it.

    Args:
        mean: over all, where these are not all.
    """
    mean = found.mean() if mean is None else mean
    found = found - found.mean((3, 4), keepdim=True)
    return found - found.mean() + mean


def correspondence_loss(of_features: Tensor,
                        of_codes: Tensor,
                        shift: Union[float, Tensor],
                        floor: Optional[float] = 0.,
                        ceiling: Optional[float] = None) -> Tensor:
    """The mean of ``-(F - shift) clamp(S, floor, ceiling)``: codes correlate where features do more than ``shift``.

    Args:
        of_features: F, (N, a, b, c, d), see :func:`correlations` and :func:`centred`.
        of_codes: S, likewise.
        floor, ceiling: of S, None for none: what lies beyond has no gradient.

    Source: STEGO (arXiv 2203.08414), equations 3 and 4; ``ContrastiveCorrelationLoss.helper`` of the released code.
    """
    if floor is not None or ceiling is not None:
        of_codes = of_codes.clamp(floor, ceiling)
    return -(of_codes * (of_features - shift)).mean()


def other_images(n_images: int) -> Tensor:
    """(N,) random other image for each of at least two.

    A permutation whose fixed points move on by one, as in the released code: an image may be drawn twice.
    """
    return without_self(torch.randperm(n_images))


def random_others(n_images: int, n_draws: int, device: torch.device) -> List[Tensor]:
    """Of every draw, (N,) random other images of those of this process: their numbers in the batch of all processes.
    An image that is alone there has none."""
    if n_images * get_world_size() == 1:
        return []
    drawn = own_draws(lambda n: torch.stack([other_images(n) for _ in range(n_draws)], 1), n_images, device)
    return [*drawn.unbind(1)]


def without_self(permutation: Tensor) -> Tensor:
    """(N,) images -> the same, with the next image where one is its own."""
    return torch.where(permutation == torch.arange(len(permutation)), permutation + 1, permutation) % len(permutation)
