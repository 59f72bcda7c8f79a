"""Choice of feature cells, and of those that k-means starts from; the same whatever the number of ranks."""
from typing import Optional, Sequence

import numpy as np
import torch
from mmengine.dist import all_reduce
from torch import Tensor

from ..utils.devices import to_device
from ..utils.random import keyed_generator
from .backends import ChunkedRows, TorchBackend

# Stream of the keyed generator, apart from the one that picks initial centres.
_SAMPLE_CELLS = 2


def sample_cells(rows: Tensor, n_keep: int, keys: Sequence[Sequence[int]]) -> Tensor:
    """(N, cells, C) rows of N images -> (N, n, C), a copy of n = ``max(1, n_keep)`` of them, or of all.

    An image's are the same for the same key, whatever the others.
    """
    n_cells = rows.size(1)
    n_keep = min(max(1, n_keep), n_cells)
    chosen = np.stack([keyed_generator(*key, _SAMPLE_CELLS).choice(n_cells, n_keep, replace=False) for key in keys])
    chosen = to_device(torch.from_numpy(chosen), rows.device)
    return rows[torch.arange(len(rows), device=rows.device)[:, None], chosen]


class RowBuffer:
    """Rows that arrive in pieces, in one block of memory.

    Small tensors kept alive between large short-lived ones would pin the pages of the latter: without the block, the
    peak memory of a pass grows with the number of images.

    Args:
        capacity: rows to reserve; more are taken by moving to a larger block.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity, self._n_rows = capacity, 0
        self._block: Optional[Tensor] = None

    def append(self, rows: Tensor) -> None:
        """Copy (n, C) rows."""
        end = self._n_rows + len(rows)
        if self._block is None:
            self._block = rows.new_empty((max(self._capacity, end), rows.size(1)))
        elif end > len(self._block):
            larger = rows.new_empty((2 * end, rows.size(1)))
            larger[:self._n_rows] = self.rows
            self._block = larger
        self._block[self._n_rows:end] = rows
        self._n_rows = end

    @property
    def rows(self) -> Optional[Tensor]:
        """The (N, C) rows, or None if there are none."""
        return None if self._block is None else self._block[:self._n_rows]


class PositionedRows:
    """A sample of rows spread over ranks, addressed by global index: position by position, row by row.

    Args:
        positions: of this rank's images.
        rows: (N, C) theirs, in order; None without images.
        rows_per_position: (P,) number of rows of every position, over all ranks.
        device: of the rows.
    """

    def __init__(self, positions: Sequence[int], rows: Optional[Tensor], rows_per_position: np.ndarray,
                 device: torch.device) -> None:
        self.positions, self.counts, self.device = list(positions), rows_per_position, device
        self.ends = np.cumsum(rows_per_position)
        n_channels = torch.tensor(0. if rows is None else float(rows.size(1)), dtype=torch.double)
        all_reduce(n_channels, op='max')
        self.n_channels = int(n_channels)
        self.rows = torch.zeros((0, self.n_channels), device=device) if rows is None else rows
        self.local = dict(zip(self.positions, self._split(self.rows)))

    def __len__(self) -> int:
        return int(self.ends[-1])

    def _split(self, values: Tensor) -> Sequence[Tensor]:
        """Values of this rank's rows, position by position."""
        return values.split([int(self.counts[position]) for position in self.positions]) if self.positions else []

    def coarse(self, step: int) -> Tensor:
        """One row in ``step`` of this rank's rows, (n, C), the same whatever the number of ranks."""
        parts = [self.local[position][position % step::step] for position in self.positions]
        return torch.cat(parts) if parts else self.rows

    def n_coarse(self, step: int) -> int:
        """Number of those rows over all ranks."""
        offsets = np.arange(len(self.counts)) % step
        return int(np.maximum(0, -(-(self.counts - offsets) // step)).sum())

    def take(self, indices: Sequence[int]) -> Tensor:
        """Rows (k, C) by global index. Collectives: one all-reduce; the rank that holds a row contributes it."""
        out = torch.zeros((len(indices), self.n_channels), device=self.device)
        for i, index in enumerate(indices):
            position = int(np.searchsorted(self.ends, index, side='right'))
            if position in self.local:
                out[i] = self.local[position][index - (self.ends[position] - self.counts[position])]
        all_reduce(out)
        return out

    def draw_by_weight(self, weights: Tensor, u: float) -> int:
        """Global index of the row at which the running sum of the weights passes ``u`` times their total.

        Args:
            weights: (N,) float64 of this rank's rows, in order.

        Collectives: two all-reduces, of (P,) sums per position and of the chosen index.
        """
        parts = self._split(weights)
        sums = torch.zeros(len(self.counts), dtype=torch.double)
        for position, part in zip(self.positions, parts):
            sums[position] = part.sum()
        all_reduce(sums)
        ends = sums.cumsum(0)
        target = u * float(ends[-1])
        position = min(int(torch.searchsorted(ends, torch.tensor(target, dtype=torch.double), right=True)),
                       int(torch.nonzero(sums).max()) if sums.any() else len(sums) - 1)
        chosen = torch.zeros((), dtype=torch.double)
        if position in self.local:
            part = parts[self.positions.index(position)].cpu().cumsum(0)
            row = int(torch.searchsorted(part, target - float(ends[position] - sums[position]), right=True))
            chosen += float(self.ends[position] - self.counts[position] + min(row, len(part) - 1))
        all_reduce(chosen)
        return int(chosen)


def draw_uniform(sample: PositionedRows, n_clusters: int, rng: np.random.Generator) -> Tensor:
    """Draw (K, C) different rows uniformly."""
    return sample.take(rng.choice(len(sample), n_clusters, replace=False))


def draw_plus_plus(sample: PositionedRows, n_clusters: int, rng: np.random.Generator) -> Tensor:
    """Draw (K, C) rows by k-means++: each by its squared distance from those drawn before."""
    seeds = sample.take([int(rng.integers(len(sample)))])
    distances = _squared_distances(sample.rows, seeds)
    for _ in range(n_clusters - 1):
        index = sample.draw_by_weight(distances, rng.random())
        seeds = torch.cat([seeds, sample.take([index])])
        distances = torch.minimum(distances, _squared_distances(sample.rows, seeds[-1:]))
    return seeds


def _squared_distances(rows: Tensor, center: Tensor) -> Tensor:
    """Squared distances (N,) float64 of rows (N, C) from one, (1, C)."""
    parts, search = [rows.new_zeros(0)], TorchBackend([center])
    ChunkedRows().for_each(rows, 1, lambda chunk, _: parts.append(search.assign(chunk, True)[0][1]))
    return torch.cat(parts).double()
