"""What features tell of their place in the image, and how to take it out of them.

Zero padding and position embeddings tell a network where it is. Clusters of its features then follow the frame: bands
along borders and rings around the middle. Two measures need no labels: features of noise, in which all that differs
from place to place comes from the network (:func:`positional_directions`); and features of one place in several
windows, each with another position (:func:`shifted_windows`, :func:`consistent_part`). Letters: N images, C channels,
h w cells, D directions.
"""
import math
from typing import Callable, Dict, List, NamedTuple, Sequence, Tuple

import torch
from torch import Tensor

from ..utils.random import keyed_generator

# Of the noise, in units of the normalised input; 0 is an image of one colour.
NOISE_STDS = (0., 0.3, 1.)
NOISE_IMAGES = 8  # of each


class Window(NamedTuple):
    """A part of an image, and the part of it that all other windows see too; as (rows, columns)."""
    pixels: Tuple[slice, slice]  # of the image
    shared: Tuple[slice, slice]  # of the window, in pixels


def position_cosines(height: int, width: int, max_frequency: int = 2) -> Dict[Tuple[int, int], Tensor]:
    """(h w,) float64 patterns ``cos(pi a (y + 1/2) / h) cos(pi b (x + 1/2) / w)`` by (a, b), without the constant.

    (1, 0) runs from the top to the bottom, (0, 1) from left to right, (2, 0) and (0, 2) from the middle to the borders.
    They are orthogonal.
    """
    frequencies = range(max_frequency + 1)
    rows, columns = ([torch.cos(math.pi * k * (torch.arange(n, dtype=torch.double) + 0.5) / n) for k in frequencies]
                     for n in (height, width))
    return {(a, b): torch.outer(rows[a], columns[b]).flatten() for a in frequencies for b in frequencies if a or b}


def position_r2(fitted: Tensor, held_out: Tensor, max_frequency: int = 2, ridge: float = 1e-6) -> Dict[Tuple, float]:
    """How well the place of a cell is predicted from its features: R2 of each of :func:`position_cosines` on images
    that the ridge regression has not seen. 1: they tell it exactly; 0: no better than the mean; below 0: worse.

    Args:
        fitted, held_out: (N, C, h, w) features of some images, and of others, of one grid.
        ridge: share of the mean variance of a channel that is added to the variance of each.

    Raises:
        ValueError: the two are not of one grid.
    """
    if fitted.shape[1:] != held_out.shape[1:]:
        raise ValueError(f'features of shape {tuple(fitted.shape[1:])} and {tuple(held_out.shape[1:])} are not of one '
                         'grid: give images of one size')
    cosines = position_cosines(*fitted.shape[2:], max_frequency)
    targets = torch.stack([*cosines.values()], 1).to(fitted.device)  # (h w, T), of mean 0
    rows, others = (feats.permute(0, 2, 3, 1).flatten(0, 2).double() for feats in (fitted, held_out))
    mean = rows.mean(0)
    covariance = (rows - mean).t() @ (rows - mean) / len(rows)
    added = ridge * covariance.diagonal().mean().clamp(min=torch.finfo(torch.double).tiny)
    covariance.diagonal().add_(added)
    moments = (fitted.double().mean(0).flatten(1) - mean[:, None]) @ targets / len(targets)
    predicted = (others - mean) @ torch.linalg.solve(covariance, moments)
    residual = (predicted.view(len(held_out), *targets.shape) - targets).square().mean((0, 1))
    r2 = 1 - residual / targets.square().mean(0)
    return dict(zip(cosines, r2.tolist()))


def noise_images(height: int, width: int, std: float, seed: int = 0) -> Tensor:
    """(n, 3, H, W) float32 images of independent normal values, the same for the same seed; of ``std`` 0 a single one,
    as all are the same."""
    shape = (NOISE_IMAGES if std else 1, 3, height, width)
    return std * torch.from_numpy(keyed_generator(seed, round(1000 * std)).standard_normal(shape, dtype='float32'))


def positional_directions(maps: Sequence[Tensor]) -> Tuple[Tensor, Tensor]:
    """Orthonormal directions (D, C) float64 in which features of noise differ from place to place, the strongest first,
    and the (D,) variance along each over the places.

    Args:
        maps: of every kind of noise, (n, C, h, w) features. The mean over its n images is what the network adds, by
            its mean over the map a constant.
    """
    means = [feats.double().mean(0).flatten(1).t() for feats in maps]  # (h w, C)
    rows = torch.cat([mean - mean.mean(0) for mean in means])
    _, strengths, directions = torch.linalg.svd(rows, full_matrices=False)
    return directions, strengths.square() / len(rows)


def complement(directions: Tensor) -> Tensor:
    """(D, C) orthonormal -> the (C, C) projection that takes these directions out."""
    return torch.eye(directions.size(1)).to(directions) - directions.t() @ directions


def shifted_windows(height: int, width: int, step: int = 32) -> List[Window]:
    """Four windows in the corners of an image of H x W pixels, about a fifth of its shorter side apart.

    Sizes and distances are multiples of ``step``, so the cells of a network whose strides divide it see the same pixels
    in all of them.

    Args:
        step: pixels; the largest stride of the network.

    Raises:
        ValueError: the image is too small to have a part in all windows.
    """
    move = _distance(height, width, step)
    rows, columns = (_windows((side - move) // step * step, move) for side in (height, width))
    if not has_windows(height, width, step):
        raise ValueError(f'images of {width}x{height} pixels are too small to be seen in windows that lie {move} pixels'
                         f' apart: give images of at least {2 * move + step} pixels, or leave model.neck.position out')
    return [Window((row[0], column[0]), (row[1], column[1])) for row in rows for column in columns]


def has_windows(height: int, width: int, step: int = 32) -> bool:
    """Whether such images are large enough for :func:`shifted_windows`."""
    return min(height, width) >= 2 * _distance(height, width, step) + step


def _distance(height: int, width: int, step: int) -> int:
    return step * max(1, round(min(height, width) / 5 / step))


def _windows(side: int, move: int) -> List[Tuple[slice, slice]]:
    """Along one axis: the two windows, and in each the part that is in both."""
    return [(slice(0, side), slice(move, side)), (slice(move, move + side), slice(0, side - move))]


def window_step(backbone: torch.nn.Module) -> int:
    """Pixels whose multiples the windows of a network lie apart: a patch of a transformer, the usual largest stride of
    any other."""
    patch = getattr(getattr(backbone, 'network', backbone), 'patch_size', 32)
    return patch if isinstance(patch, int) else max(patch)


def cells_in_windows(features: Callable[[Tensor], Tensor], images: Tensor, step: int = 32) -> Tensor:
    """(N, 3, H, W) images -> (N, windows, C, h, w), the cells that all windows of an image share, as seen in each.

    Args:
        features: (N, 3, H', W') images -> (N, C, h', w') maps.
        step: see :func:`shifted_windows`.

    Raises:
        ValueError: the images have no pixels, as those of a feature cache, or are too small.
    """
    if not isinstance(images, Tensor):
        raise ValueError("model.neck.position='consistent' needs pixels, of which a feature cache has only the features"
                         ': leave one of them out')
    found = []
    for window in shifted_windows(*images.shape[-2:], step):
        crops = images[(..., *window.pixels)]
        maps = features(crops)
        shared = [slice(part.start * n_cells // side, part.stop * n_cells // side)
                  for part, n_cells, side in zip(window.shared, maps.shape[2:], crops.shape[2:])]
        found.append(maps[(..., *shared)])
    return torch.stack(found, 1)


def consistent_part(within: Tensor, total: Tensor) -> Tensor:
    """The (C, C) map from a feature to the best linear estimate of that part of it which does not depend on the window
    it is seen in (a Wiener filter): ``I - within total^-1``.

    Directions that change with the window fade by their share of the variance, and none is cut off, so there is no
    number of directions to choose.

    Args:
        within: (C, C) covariance of a feature around the mean of one place over its windows.
        total: (C, C) covariance of all.
    """
    values, vectors = torch.linalg.eigh(total)
    root = values.clamp(min=1e-6 * float(values[-1])).sqrt()
    left, right = vectors * root, vectors / root  # total^1/2 and total^-1/2, up to a rotation
    shares, axes = torch.linalg.eigh(right.t() @ within @ right)
    return left @ (axes * (1 - shares.clamp(0, 1))) @ axes.t() @ right.t()
