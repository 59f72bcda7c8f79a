"""Segmentation loss of IIC: mutual information of the clusters of neighbouring cells in two views."""
import sys
from typing import Optional

import torch
from torch import Tensor
from torch.nn.grad import conv2d_weight


def iic_loss(first: Tensor,
             second: Tensor,
             valid: Optional[Tensor] = None,
             max_displacement: int = 0,
             marginal_weight: float = 1.,
             eps: float = sys.float_info.epsilon) -> Tensor:
    """Minus the mutual information of two views' clusters, averaged over displacements.

    With Phi_u the soft assignment of the first view at cell u and Phi'_u that of the second, brought to the same
    frame, and for every displacement t in T = {-d, ..., d}^2

        P_t = mean over images and cells u of Phi_u (x) Phi'_(u+t),   P_t <- (P_t + P_t^T) / 2,

    the loss is - 1/|T| sum_t sum_cc' P_t,cc' (ln P_t,cc' - lambda ln P_t,c - lambda ln P_t,c'). With lambda = 1 the
    inner sum is the mutual information I(P_t), at most ln K: all K clusters equally large and the views agreeing.
    Pairs that leave the map or touch an invalid cell do not count; a displacement without any pair adds 0.

    Args:
        first: Phi, (N, K, h, w), non-negative, sums to 1 over K.
        second: Phi', likewise, cell by cell the same place of the scene.
        valid: (N, h, w) bool, cells that both views show; all by default.
        max_displacement: d, in cells.
        marginal_weight: lambda; above 1 it favours clusters of equal size.
        eps: probabilities are raised to it inside logarithms.

    Returns:
        Tensor: a scalar, in float32 at least, also under autocast.

    Raises:
        ValueError: shapes differ, or the displacement is negative or reaches across the map.

    Source: IIC (arXiv 1807.06653), section 3.3 and equation 5. The released code by default averages P_t over t before
    the logarithm; its ``IID_segmentation_loss_uncollapsed`` does what the paper and this function do.
    """
    _check(first, second, valid, max_displacement)
    dtype = torch.promote_types(torch.promote_types(first.dtype, second.dtype), torch.float32)
    with torch.autocast(first.device.type, enabled=False):
        joint = _sum_of_products(
            _masked(first.to(dtype), valid), _masked(second.to(dtype), valid), max_displacement)
        joint = joint / joint.sum((0, 1)).clamp(min=eps)
        joint = (joint + joint.transpose(0, 1)) / 2
        marginal = joint.sum(0)  # both marginals: P_t is symmetric
        information = _p_log_p(joint, eps).sum((0, 1)) - 2 * marginal_weight * _p_log_p(marginal, eps).sum(0)
        return -information.mean()


def _sum_of_products(first: Tensor, second: Tensor, d: int) -> Tensor:
    """Two maps (N, K, h, w) -> (K, K, 2d + 1, 2d + 1), the sum over images and cells of ``first_u (x) second_(u+t)``.

    This is the gradient of a (2d + 1)^2 convolution for its weights, which libraries are good at. One convolution
    with a whole map as the kernel gives the same numbers, but is several times slower.
    """
    k, side = first.size(1), 2 * d + 1
    return conv2d_weight(second, (k, k, side, side), first, padding=d)


def _masked(maps: Tensor, valid: Optional[Tensor]) -> Tensor:
    return maps if valid is None else maps.masked_fill(~valid.bool()[:, None], 0)


def _p_log_p(p: Tensor, eps: float) -> Tensor:
    p = p.clamp(min=eps)
    return p * p.log()


def _check(first: Tensor, second: Tensor, valid: Optional[Tensor], d: int) -> None:
    if first.ndim != 4 or first.shape != second.shape:
        raise ValueError(f'the two views must be maps (N, K, h, w) of one shape, but they are {tuple(first.shape)} and '
                         f'{tuple(second.shape)}')
    n, _, h, w = first.shape
    if valid is not None and valid.shape != (n, h, w):
        raise ValueError(f'valid must have shape {(n, h, w)}, but it has {tuple(valid.shape)}')
    if not 0 <= d < min(h, w):
        raise ValueError(f'max_displacement must be from 0 to {min(h, w) - 1} on maps of {h} x {w} cells, but it is '
                         f'{d}')
