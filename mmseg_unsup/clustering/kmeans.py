"""k-means for pixels: full Lloyd on a first sample, running means over the rest, the same on any number of ranks."""
from typing import Optional

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor

INITS = ('random', 'k-means++')
# Rows per matrix product: (CHUNK, K) scores in float32, 64 MB at K = 1000.
CHUNK = 16384


class MiniBatchKMeans:
    """Euclidean k-means whose data may be spread over ranks and arrive in pieces.

    The update is that of the released PiCIE code (commons.py:52-133): Lloyd iterations on a first sample, then, for
    every further piece, assignment to the current centres and ``mu_k = (N_k mu_k + sum of the new members) /
    (N_k + n_k)``, a running mean over everything assigned so far. With ``spherical=True`` centres are scaled to unit
    length after every update (the running mean itself is kept unscaled); for unit rows this is k-means under cosine
    distance.

    Sums are taken in float64 and reduced over ranks together with counts, so every rank ends with the same centres
    and their number does not matter. All ranks must make the same calls.

    Args:
        n_clusters: K.
        n_iter: Lloyd iterations on the first sample.
        n_init: restarts on the first sample; the one with the lowest inertia is kept.
        spherical: scale centres to unit length.
        init: rows that Lloyd starts from, drawn by the caller of :meth:`init` (:class:`StreamingKMeans`).
            ``'random'`` draws uniformly, as faiss and the released code do; ``'k-means++'`` draws each with a
            probability proportional to its squared distance from those drawn before (Arthur and Vassilvitskii 2007),
            which finds small, well separated clusters more often.

    Attributes:
        cluster_centers_ (Tensor): (K, C) float32.
        counts_ (Tensor): (K,) float64, rows assigned so far.
        inertia_ (float): mean squared distance of the rows to their centre, averaged over the updates.
        n_steps_ (int): updates so far, the first sample included.
        n_splits_ (int): empty clusters that were re-seeded in Lloyd iterations.

    Raises:
        ValueError: ``n_clusters < 1``, fewer rows than clusters, or rows that are not finite.
    """

    def __init__(self,
                 n_clusters: int,
                 n_iter: int = 20,
                 n_init: int = 1,
                 spherical: bool = False,
                 init: str = 'random') -> None:
        if n_clusters < 1:
            raise ValueError(f'n_clusters must be at least 1, but it is {n_clusters}')
        if n_iter < 1 or n_init < 1:
            raise ValueError(f'n_iter and n_init must be at least 1, but they are {n_iter} and {n_init}')
        if init not in INITS:
            raise ValueError(f'init={init!r} is not one of {INITS}')
        self.n_clusters, self.n_iter, self.n_init, self.spherical = n_clusters, n_iter, n_init, spherical
        self.init_method = init
        self.cluster_centers_: Optional[Tensor] = None
        self.counts_: Optional[Tensor] = None
        self.n_steps_ = self.n_splits_ = 0
        self._step_inertias = []
        self._pending = None

    @property
    def inertia_(self) -> float:
        return sum(self._step_inertias) / len(self._step_inertias)

    def init(self, rows: Tensor, seeds: Tensor, row_weight: float = 1.) -> None:
        """Lloyd on the first sample.

        Args:
            rows: (N, C) float32, this rank's share; may be empty on some ranks.
            seeds: (n_init, K, C) rows to start from, the same on all ranks.
            row_weight: number of rows that each one stands for, where ``rows`` is a sample; it scales ``counts_``, so
                that the running means weigh the sample as what it was drawn from.

        Collectives: one all-reduce of ``(K, C + 2)`` per iteration.
        """
        assert seeds.shape[:2] == (self.n_init, self.n_clusters), seeds.shape
        self._check_rows(rows)
        best = None
        for start in seeds:
            centers, splits = start.double(), 0
            for _ in range(self.n_iter):
                sums, counts, _ = self._assign_and_sum(rows, self._finish(centers))
                filled = counts > 0
                centers = torch.where(filled[:, None], sums / counts.clamp(min=1)[:, None], centers)
                if not filled.all():
                    centers, n_split = _split_largest(centers, counts)
                    splits += n_split
            sums, counts, squared = self._assign_and_sum(rows, self._finish(centers))
            inertia = float(squared / counts.sum())
            if best is None or inertia < best[0]:
                best = inertia, centers, counts, splits
        inertia, self._means, counts, self.n_splits_ = best
        self.counts_ = counts * row_weight
        self.cluster_centers_ = self._finish(self._means)
        self._step_inertias, self.n_steps_ = [inertia], 1

    def accumulate(self, rows: Tensor) -> None:
        """Assign (N, C) rows to the current centres and remember their sums until :meth:`update`. No collective."""
        assert self.cluster_centers_ is not None, 'call init() before accumulate()'
        self._check_rows(rows)
        stats = _local_stats(rows, self.cluster_centers_)
        self._pending = stats if self._pending is None else self._pending + stats

    def update(self) -> None:
        """Fold what was accumulated on all ranks into the centres. Collectives: one all-reduce of ``(K, C + 2)``."""
        stats, self._pending = self._pending, None
        if stats is None:
            stats = _empty_stats(self.cluster_centers_)
        sums, counts, squared = _reduce_and_unpack(stats)
        total = counts.sum()
        if total == 0:
            return
        new_counts = self.counts_ + counts
        means = (self._means * self.counts_[:, None] + sums) / new_counts.clamp(min=1)[:, None]
        self._means = torch.where(counts[:, None] > 0, means, self._means)
        self.counts_ = new_counts
        self.cluster_centers_ = self._finish(self._means)
        self._step_inertias.append(float(squared / total))
        self.n_steps_ += 1

    def partial_fit(self, rows: Tensor) -> 'MiniBatchKMeans':
        """One streaming step: :meth:`accumulate`, then :meth:`update`."""
        self.accumulate(rows)
        self.update()
        return self

    def predict(self, rows: Tensor) -> Tensor:
        """(N, C) -> (N,) int64 index of the nearest centre."""
        assert self.cluster_centers_ is not None, 'call init() before predict()'
        return torch.cat([nearest(chunk, self.cluster_centers_)[0] for chunk in rows.split(CHUNK)])

    def _finish(self, means: Tensor) -> Tensor:
        """(K, C) float64 running means -> float32 centres."""
        return (F.normalize(means, dim=1) if self.spherical else means).float()

    def _assign_and_sum(self, rows: Tensor, centers: Tensor):
        return _reduce_and_unpack(_local_stats(rows, centers))

    @staticmethod
    def _check_rows(rows: Tensor) -> None:
        if not torch.isfinite(rows).all():
            bad = int((~torch.isfinite(rows)).any(1).sum())
            raise ValueError(f'{bad} of {len(rows)} feature vectors are not finite: '
                             'check the learning rate and the initialisation of the backbone')


def nearest(rows: Tensor, centers: Tensor):
    """(N, C), (K, C) -> index (N,) of the nearest centre and squared distance (N,), without an (N, K, C) tensor."""
    # |x - mu|^2 = |x|^2 - 2 (x.mu - |mu|^2 / 2): the largest score is the smallest distance
    scores, index = torch.addmm(-0.5 * centers.square().sum(1), rows, centers.t()).max(1)
    return index, (rows.square().sum(1) - 2 * scores).clamp_(min=0)


def _empty_stats(centers: Tensor) -> Tensor:
    return centers.new_zeros((centers.size(0), centers.size(1) + 2), dtype=torch.double)


def _local_stats(rows: Tensor, centers: Tensor) -> Tensor:
    """(N, C), (K, C) -> (K, C + 2) float64: sum of the members, their number, sum of their squared distances."""
    stats = _empty_stats(centers)
    for chunk in rows.split(CHUNK):
        if not len(chunk):
            continue
        index, squared = nearest(chunk, centers)
        # float32 inside a chunk, float64 across chunks
        sums = torch.zeros_like(centers).index_add_(0, index, chunk)
        stats[:, :-2] += sums
        stats[:, -2] += torch.bincount(index, minlength=len(centers))
        stats[:, -1] += torch.bincount(index, squared.double(), minlength=len(centers))
    return stats


def _reduce_and_unpack(stats: Tensor):
    all_reduce(stats)
    return stats[:, :-2], stats[:, -2], stats[:, -1].sum()


def _split_largest(centers: Tensor, counts: Tensor):
    """Give every empty cluster one half of the currently largest one.

    Both halves start from the same centre, moved apart by 1/1024 of its size in alternating directions, as faiss does;
    it depends on nothing but centres and counts, so all ranks do the same. Returns (centers, number of splits).
    """
    centers, counts = centers.clone(), counts.clone()
    shift = torch.ones_like(centers[0])
    shift[1::2] = -1
    empty = torch.nonzero(counts == 0).flatten().tolist()
    for k in empty:
        donor = int(counts.argmax())
        if counts[donor] < 2:
            break
        centers[k] = centers[donor] * (1 + shift / 1024)
        centers[donor] = centers[donor] * (1 - shift / 1024)
        counts[k] = counts[donor] / 2
        counts[donor] /= 2
    return centers, len(empty)
