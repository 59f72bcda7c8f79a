"""Keyed choice of feature cells."""
from typing import Sequence

import torch
from torch import Tensor

from ..utils.random import keyed_generator

# Stream of the keyed generator, apart from the one that picks initial centres.
_SAMPLE_CELLS = 2


def sample_cells(rows: Tensor, n_keep: int, key: Sequence[int]) -> Tensor:
    """(N, C) rows of one image -> a copy of ``max(1, n_keep)`` of them, or of all, the same for the same key."""
    n_keep = min(max(1, n_keep), len(rows))
    cells = keyed_generator(*key, _SAMPLE_CELLS).choice(len(rows), n_keep, replace=False)
    return rows[torch.from_numpy(cells).to(rows.device)]
