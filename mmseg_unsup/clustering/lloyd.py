"""Lloyd's iterations from several starts at once, on rows that may be spread over ranks."""
from typing import Callable, List, NamedTuple, Sequence

import numpy as np
import torch
from mmengine.dist import all_reduce
from torch import Tensor

from .backends import ChunkedRows, build_backend, member_stats


class LloydFit(NamedTuple):
    """Where the iterations from one start ended."""
    inertia: float  # mean squared distance of the rows to the means of those they were last assigned with
    means: Tensor  # (K, C) float64
    counts: Tensor  # (K,) float64, rows of each centre
    n_splits: int  # empty clusters that were re-seeded
    n_iter: int


def lloyd(rows: Tensor, starts: Sequence[Tensor], n_iter: int, finish: Callable[[Tensor], Tensor], backend: str,
          chunks: ChunkedRows) -> List[LloydFit]:
    """Iterate from every start, all in the same matrix products, until its means repeat bit for bit.

    Args:
        rows: (N, C) float32 or bfloat16, this rank's share; may be empty on some ranks.
        starts: (K, C) float64 means each, of any K, the same on all ranks.
        n_iter: iterations at most.
        finish: makes float32 centres of means.
        backend: name, see :func:`build_backend`.

    Collectives: one all-reduce of ``(K, C + 2)`` per iteration for all starts that still move, and one more where the
    last iteration has re-seeded a cluster.
    """
    runs = [_Run(means, rows, chunks, finish) for means in starts]
    for _ in range(n_iter):
        moving = [run for run in runs if not run.is_settled]
        if not moving:
            break
        for run, stats in zip(moving, _assigned(moving, rows, backend, chunks)):
            run.update(stats)
    split = [run for run in runs if run.has_split]
    for run, stats in zip(split, _assigned(split, rows, backend, chunks) if split else ()):
        run.measure(stats)
    return [LloydFit(run.inertia, run.means, run.counts, run.n_splits, run.n_iter) for run in runs]


def _assigned(runs: Sequence['_Run'], rows: Tensor, backend: str, chunks: ChunkedRows) -> Sequence[Tensor]:
    """Assign the rows to the centres of every run; its :attr:`_Run.stats` summed over ranks, by one all-reduce."""
    indices = nearest_centers(rows, [run.centers for run in runs], backend, chunks)
    if runs[0].n_iter == 0:
        _add_all(runs, rows, indices, chunks)
    for run, index in zip(runs, indices):
        run.assign(index)
    together = torch.cat([run.stats for run in runs])
    all_reduce(together)
    return together.split([len(run.stats) for run in runs])


def set_stats(rows: Tensor, sets: Sequence[Tensor], backend: str, chunks: ChunkedRows) -> List[Tensor]:
    """(N, C) rows and (K, C) float32 centres of every set -> for each, (K, C + 2) float64: sum of the members, their
    number and, in the first line, the sum of all squared distances; one product for all sets."""
    nearest = build_backend(backend, sets)
    stats = [centers.new_zeros((len(centers), rows.size(1) + 2), dtype=torch.double) for centers in sets]

    def add(chunk: Tensor, _: slice) -> None:
        found, wide = nearest.assign(chunk, with_distance=True), chunk.double()
        parts = [member_stats(wide, index, len(of_set)) for of_set, (index, _) in zip(stats, found)]
        for of_set, part, (_, squared) in zip(stats, parts, found):
            of_set[:, :-1] += part
            of_set[0, -1] += squared.sum(dtype=torch.double)

    chunks.for_each(rows, sum(map(len, sets)), add)
    return stats


def unpack(stats: Tensor):
    """(K, C + 2) -> sums (K, C), counts (K,) and the number in the first line."""
    return stats[:, :-2], stats[:, -2], stats[0, -1]


def nearest_centers(rows: Tensor, sets: Sequence[Tensor], backend: str, chunks: ChunkedRows) -> List[Tensor]:
    """(N, C) rows and (K, C) float32 centres of every set -> for each, the (N,) int64 nearest."""
    nearest = build_backend(backend, sets)
    indices = [torch.empty(len(rows), dtype=torch.long, device=rows.device) for _ in sets]

    def store(chunk: Tensor, part: slice) -> None:
        for index, (found, _) in zip(indices, nearest.assign(chunk)):
            index[part] = found

    chunks.for_each(rows, sum(map(len, sets)), store)
    return indices


class _Run:
    """The means of one start, and the sums of their members, which follow the rows that move: in most iterations few.

    Attributes:
        stats (Tensor): (K, C + 2) float64 of this rank, sums of the members, their numbers and, in the first line, the
            sum of the squared lengths of all rows.
        counts, inertia: of the members that the means are of.
        is_settled (bool): the last iteration has changed no bit.
        has_split (bool): the last iteration has re-seeded a cluster, whose members are not known.
    """

    def __init__(self, means: Tensor, rows: Tensor, chunks: ChunkedRows, finish: Callable[[Tensor], Tensor]) -> None:
        self.means, self.n_splits, self.n_iter = means, 0, 0
        self.is_settled = self.has_split = False
        self._rows, self._chunks, self._finish, self._index = rows, chunks, finish, None
        self.stats = means.new_zeros((len(means), means.size(1) + 2))

    @property
    def centers(self) -> Tensor:
        """(K, C) float32."""
        return self._finish(self.means)

    def assign(self, index: Tensor) -> None:
        """Take the (N,) centres of all rows; of the first ones the sums are there."""
        if self._index is not None:
            moved = _differing(index, self._index)
            new, old = index[moved], self._index[moved]
            self._chunks.for_each(self._rows.index_select(0, moved), len(self.stats), lambda chunk, part: self._move(
                chunk.double(), new[part], old[part]))
        self._index = index

    def _move(self, rows: Tensor, new: Tensor, old: Tensor) -> None:
        n_clusters = len(self.stats)
        self.stats[:, :-1] += member_stats(rows, new, n_clusters) - member_stats(rows, old, n_clusters)

    def update(self, stats: Tensor) -> None:
        """Move to the means of ``stats``, those of all ranks."""
        sums, counts, _ = unpack(stats)
        filled = counts > 0
        means = torch.where(filled[:, None], sums / counts.clamp(min=1)[:, None], self.means)
        self.has_split = not filled.all()
        if self.has_split:
            means, n_splits = split_largest(means, counts)
            self.n_splits += n_splits
        self.is_settled = torch.equal(means, self.means)
        self.means, self.n_iter = means, self.n_iter + 1
        self.measure(stats)

    def measure(self, stats: Tensor) -> None:
        """Note the sizes, and the mean squared distance to the present centres: sum of ``|x|^2 - 2 x.c + |c|^2``."""
        sums, self.counts, lengths = unpack(stats)
        centers = self.centers.double()
        total = lengths - 2 * (sums * centers).sum() + (self.counts * centers.square().sum(1)).sum()
        self.inertia = max(0., float(total / self.counts.sum()))


def _differing(index: Tensor, other: Tensor) -> Tensor:
    """Where two (n,) tensors differ, (m,) int64; NumPy's search is 4 times as fast on CPUs."""
    if index.device.type == 'cpu':
        return torch.from_numpy(np.flatnonzero(index.numpy() != other.numpy()))
    return torch.nonzero(index != other).flatten()


def _add_all(runs: Sequence[_Run], rows: Tensor, indices: Sequence[Tensor], chunks: ChunkedRows) -> None:
    """Add up the members of all centres."""
    def add(chunk: Tensor, part: slice) -> None:
        wide = chunk.double()
        parts = [member_stats(wide, index[part], len(run.stats)) for run, index in zip(runs, indices)]
        length = wide.square().sum()
        for run, stats in zip(runs, parts):
            run.stats[:, :-1] += stats
            run.stats[0, -1] += length

    chunks.for_each(rows, sum(len(run.stats) for run in runs), add)


def split_largest(centers: Tensor, counts: Tensor):
    """Give every empty cluster one half of the currently largest one.

    Both halves start from the same centre, moved apart by 1/1024 of its size in alternating directions, as faiss does;
    it depends on nothing but centres and counts, so all ranks do the same. Returns (centers, number of splits).
    """
    centers, counts = centers.clone(), counts.clone()
    shift = torch.ones_like(centers[0])
    shift[1::2] = -1
    n_splits = 0
    for k in torch.nonzero(counts == 0).flatten().tolist():
        donor = int(counts.argmax())
        if counts[donor] < 2:
            break
        centers[k] = centers[donor] * (1 + shift / 1024)
        centers[donor] = centers[donor] * (1 - shift / 1024)
        counts[k] = counts[donor] / 2
        counts[donor] /= 2
        n_splits += 1
    return centers, n_splits
