"""Class weights of the pseudo-label cross-entropy, from the sizes of the clusters."""
from typing import Optional

import torch
from torch import Tensor

MODES = ('frequency', 'inverse', None)


def cluster_weights(counts: Tensor, mode: Optional[str] = None) -> Tensor:
    """(..., K) cluster sizes -> (..., K) weights with mean 1 over the non-empty clusters.

    * ``'frequency'``: proportional to the size, ``w_k = n_k / mean(n)``, the released PiCIE code (commons.py:181);
    * ``'inverse'``: ``w_k`` proportional to ``1 / n_k``;
    * ``None``: 1.

    The cross-entropy divides by the sum of the weights in the batch, so their common scale has no effect. Clusters
    without a member get weight 0: no label can point at them.
    """
    if mode not in MODES:
        raise ValueError(f'class_weights={mode!r} is not one of {MODES}')
    counts = counts.double()
    filled = counts > 0
    by_mode = {'frequency': counts, 'inverse': 1 / counts.clamp(min=1), None: torch.ones_like(counts)}
    weights = by_mode[mode] * filled
    n_filled = filled.sum(-1, keepdim=True).clamp(min=1)
    return (weights * n_filled / weights.sum(-1, keepdim=True).clamp(min=torch.finfo(torch.double).tiny)).float()
