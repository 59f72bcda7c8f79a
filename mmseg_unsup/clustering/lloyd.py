"""Lloyd's iterations from several starts at once, on rows that may be spread over ranks."""
from typing import Callable, List, NamedTuple, Sequence

import torch
from mmengine.dist import all_reduce
from torch import Tensor

from .backends import ChunkedRows, build_backend, member_stats


class LloydFit(NamedTuple):
    """Where the iterations from one start ended."""
    inertia: float  # mean squared distance of the rows to their centre
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

    Collectives: one all-reduce of ``(K, C + 1)`` per iteration for all starts that still move, and one at the end.
    """
    runs = [_Run(means, rows, chunks) for means in starts]
    for _ in range(n_iter):
        moving = [run for run in runs if not run.is_settled]
        if not moving:
            break
        indices = nearest_centers(rows, [finish(run.means) for run in moving], backend, chunks)
        if moving[0].n_iter == 0:
            _add_all(moving, rows, indices, chunks)
        for run, index in zip(moving, indices):
            run.assign(index)
        for run, stats in zip(moving, _reduced([run.stats for run in moving])):
            run.update(stats)
    ends = set_stats(rows, [finish(run.means) for run in runs], backend, chunks, with_sums=False)
    return [LloydFit(float(squared / counts.sum()), run.means, counts, run.n_splits, run.n_iter)
            for run, (_, counts, squared) in zip(runs, map(unpack, _reduced(ends)))]


def set_stats(rows: Tensor, sets: Sequence[Tensor], backend: str, chunks: ChunkedRows,
              with_sums: bool = True) -> List[Tensor]:
    """(N, C) rows and (K, C) float32 centres of every set -> for each, (K, C + 2) float64: sum of the members, their
    number and, in the first line, the sum of all squared distances; one product for all sets.

    Without sums (K, 2).
    """
    nearest, n_channels = build_backend(backend, sets), rows.size(1) if with_sums else 0
    stats = [centers.new_zeros((len(centers), n_channels + 2), dtype=torch.double) for centers in sets]

    def add(chunk: Tensor, _: slice) -> None:
        found, wide = nearest.assign(chunk, with_distance=True), chunk[:, :n_channels].double()
        parts = [member_stats(wide, index, len(of_set)) for of_set, (index, _) in zip(stats, found)]
        for of_set, part, (_, squared) in zip(stats, parts, found):
            of_set[:, :-1] += part
            of_set[0, -1] += squared.sum(dtype=torch.double)

    chunks.for_each(rows, sum(map(len, sets)), add)
    return stats


def unpack(stats: Tensor):
    """(K, C + 2) -> sums (K, C), counts (K,) and the sum of all squared distances."""
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
        stats (Tensor): (K, C + 1) float64 of this rank, sums of the members and their numbers.
    """

    def __init__(self, means: Tensor, rows: Tensor, chunks: ChunkedRows) -> None:
        self.means, self.n_splits, self.n_iter, self.is_settled = means, 0, 0, False
        self._rows, self._chunks, self._index = rows, chunks, None
        self.stats = means.new_zeros((len(means), means.size(1) + 1))

    def assign(self, index: Tensor) -> None:
        """Take the (N,) centres of all rows; of the first ones the sums are there."""
        if self._index is not None:
            moved = torch.nonzero(index != self._index).flatten()
            rows = self._rows[moved]
            self._add(rows, index[moved], 1)
            self._add(rows, self._index[moved], -1)
        self._index = index

    def _add(self, rows: Tensor, index: Tensor, sign: int) -> None:
        self._chunks.for_each(rows, len(self.stats), lambda chunk, part: self.stats.add_(
            member_stats(chunk.double(), index[part], len(self.stats)), alpha=sign))

    def update(self, stats: Tensor) -> None:
        """Move to the means of ``stats``, those of all ranks."""
        sums, counts = stats[:, :-1], stats[:, -1]
        filled = counts > 0
        means = torch.where(filled[:, None], sums / counts.clamp(min=1)[:, None], self.means)
        if not filled.all():
            means, n_splits = split_largest(means, counts)
            self.n_splits += n_splits
        self.is_settled = torch.equal(means, self.means)
        self.means, self.n_iter = means, self.n_iter + 1


def _add_all(runs: Sequence[_Run], rows: Tensor, indices: Sequence[Tensor], chunks: ChunkedRows) -> None:
    """Add up the members of all centres."""
    def add(chunk: Tensor, part: slice) -> None:
        wide = chunk.double()
        parts = [member_stats(wide, index[part], len(run.stats)) for run, index in zip(runs, indices)]
        for run, stats in zip(runs, parts):
            run.stats += stats

    chunks.for_each(rows, sum(len(run.stats) for run in runs), add)


def _reduced(stats: Sequence[Tensor]) -> Sequence[Tensor]:
    """The sums over ranks, by one all-reduce."""
    together = torch.cat(list(stats))
    all_reduce(together)
    return together.split([len(part) for part in stats])


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
