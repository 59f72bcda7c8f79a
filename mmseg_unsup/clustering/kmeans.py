"""k-means for pixels: full Lloyd on a first sample, running means over the rest, the same on any number of ranks."""
from itertools import islice
from typing import List, Optional, Sequence

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, broadcast
from torch import Tensor

from ..utils.checks import check_counts
from .backends import ChunkedRows, check_backend
from .lloyd import LloydFit, lloyd, nearest_centers, set_stats, unpack

INITS = ('random', 'k-means++')
# faiss samples as many; with half of them the starts end in worse optima (configs/picie/README.md).
MIN_COARSE_ROWS_PER_CLUSTER = 256
# Squares of larger values, and their sums, may be infinite in float32.
_MAX_VALUE = 1e18


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
        n_iter: Lloyd iterations of every start on the first sample, fewer where the means repeat bit for bit.
        n_init: starts; the one with the lowest inertia is kept.
        spherical: scale centres to unit length.
        init: rows that Lloyd starts from, drawn by the caller of :meth:`init` (:class:`StreamingKMeans`).
            ``'random'`` draws uniformly, as faiss and the released code do; ``'k-means++'`` draws each with a
            probability proportional to its squared distance from those drawn before (Arthur and Vassilvitskii 2007),
            which finds small, well separated clusters more often.
        coarse: starts run on one row in ``coarse``; 1 for all rows. Where that leaves fewer than
            ``MIN_COARSE_ROWS_PER_CLUSTER`` rows a cluster, they run on all rows.
        n_refine: iterations of the best start on all rows after it ran on part of them.
        backend: ``'torch'``, ``'faiss'``, or ``'auto'`` for the faster one, torch. They agree up to the rounding of
            float32.
        chunk_bytes: memory for the scores of a chunk of rows; None for a default that suits the device.

    The defaults end -0.15 to +0.3 % from the inertia of 20 iterations on all rows, for a fifth of their cost
    (configs/picie/README.md).

    Attributes:
        cluster_centers_ (Tensor): (K, C) float32.
        counts_ (Tensor): (K,) float64, rows assigned so far.
        inertia_ (float): mean squared distance of the rows to their centre, averaged over the updates.
        n_steps_ (int): updates so far, the first sample included.
        n_iter_ (int): Lloyd iterations of the best start, refinement included.
        n_splits_ (int): empty clusters that were re-seeded in Lloyd iterations.

    Raises:
        ValueError: a number below 1, unknown option, fewer rows than clusters, or rows that are not finite, or whose
            squares are not.
        ImportError: ``backend='faiss'`` without faiss.
    """

    def __init__(self,
                 n_clusters: int,
                 n_iter: int = 20,
                 n_init: int = 1,
                 spherical: bool = False,
                 init: str = 'random',
                 coarse: int = 8,
                 n_refine: int = 5,
                 backend: str = 'auto',
                 chunk_bytes: Optional[int] = None) -> None:
        check_counts(n_clusters=n_clusters, n_iter=n_iter, n_init=n_init, coarse=coarse, n_refine=n_refine)
        if init not in INITS:
            raise ValueError(f'init={init!r} is not one of {INITS}')
        check_backend(backend)
        self.n_clusters, self.n_iter, self.n_init, self.spherical = n_clusters, n_iter, n_init, spherical
        self.init_method = init
        self.coarse, self.n_refine = coarse, n_refine
        self.backend, self._chunks = backend, ChunkedRows(chunk_bytes)
        self.cluster_centers_: Optional[Tensor] = None
        self.counts_: Optional[Tensor] = None
        self.n_steps_ = self.n_splits_ = self.n_iter_ = 0
        self._step_inertias = []
        self._pending = None

    @property
    def inertia_(self) -> float:
        return sum(self._step_inertias) / len(self._step_inertias)

    def init(self, rows: Tensor, seeds: Tensor, row_weight: float = 1., coarse_rows: Optional[Tensor] = None) -> None:
        """Lloyd on the first sample.

        Args:
            rows: (N, C) float32 or bfloat16, this rank's share; may be empty on some ranks.
            seeds: (n_init, K, C) rows to start from, the same on all ranks.
            row_weight: number of rows that each one stands for, where ``rows`` is a sample; it scales ``counts_``, so
                that the running means weigh the sample as what it was drawn from.
            coarse_rows: (n, C), a part of the rows for the starts; without it they run on all.

        Collectives: see :func:`lloyd`; one broadcast of the centres.
        """
        fit_together([self], rows, [seeds], row_weight, coarse_rows)

    def _take(self, fits: Sequence[LloydFit], row_weight: float) -> None:
        """Become what Lloyd's iterations, one after the other, ended in."""
        self.n_splits_, self.n_iter_ = sum(fit.n_splits for fit in fits), sum(fit.n_iter for fit in fits)
        self.counts_ = fits[-1].counts * row_weight
        self._set_means(fits[-1].means)
        self._step_inertias, self.n_steps_ = [fits[-1].inertia], 1

    def starts_on_part(self, n_coarse: int) -> bool:
        """Whether so many rows, one in ``coarse``, are enough for the starts."""
        return self.coarse > 1 and n_coarse >= MIN_COARSE_ROWS_PER_CLUSTER * self.n_clusters

    def n_assigned(self, n_rows: int) -> int:
        """Rows that :meth:`init` assigns to centres, in all its iterations, where the first sample has ``n_rows``."""
        n_coarse = n_rows // self.coarse
        if self.starts_on_part(n_coarse):
            return self.n_init * self.n_iter * n_coarse + self.n_refine * n_rows
        return self.n_init * self.n_iter * n_rows

    def accumulate(self, rows: Tensor) -> None:
        """Assign (N, C) rows to the current centres and remember their sums until :meth:`update`. No collective."""
        accumulate([self], rows)

    def update(self) -> None:
        """Fold what was accumulated on all ranks into the centres.

        Collectives: one all-reduce of ``(K, C + 2)``, one broadcast of the centres.
        """
        stats, self._pending = self._pending, None
        if stats is None:
            stats = F.pad(torch.zeros_like(self._means), (0, 2))
        all_reduce(stats)
        _check_finite(stats)
        sums, counts, squared = unpack(stats)
        total = counts.sum()
        if total == 0:
            return
        new_counts = self.counts_ + counts
        means = (self._means * self.counts_[:, None] + sums) / new_counts.clamp(min=1)[:, None]
        self.counts_ = new_counts
        self._set_means(torch.where(counts[:, None] > 0, means, self._means))
        self._step_inertias.append(float(squared / total))
        self.n_steps_ += 1

    def predict(self, rows: Tensor) -> Tensor:
        """(N, C) -> (N,) int64 index of the nearest centre."""
        assert self.cluster_centers_ is not None, 'call init() before predict()'
        return nearest_centers(rows, [self.cluster_centers_], self.backend, self._chunks)[0]

    def _set_means(self, means: Tensor) -> None:
        """Take the (K, C) float64 means of the first rank, so that ranks on unlike devices cannot drift apart."""
        self._means = means.contiguous()
        broadcast(self._means)
        self.cluster_centers_ = self._finish(self._means)

    def _finish(self, means: Tensor) -> Tensor:
        """(K, C) float64 running means -> float32 centres."""
        return (F.normalize(means, dim=1) if self.spherical else means).float()


def fit_together(models: Sequence[MiniBatchKMeans], rows: Tensor, seeds: Sequence[Tensor], row_weight: float = 1.,
                 coarse_rows: Optional[Tensor] = None) -> None:
    """:meth:`MiniBatchKMeans.init` of several models, in the same matrix products; they differ in the number of
    clusters only."""
    for model, starts in zip(models, seeds):
        assert starts.shape[:2] == (model.n_init, model.n_clusters), starts.shape
    first = models[0]
    fits = [_best_fits(first, rows if coarse_rows is None else coarse_rows, [of_model.double() for of_model in seeds],
                       first.n_iter)]
    if coarse_rows is not None:
        fits.append(_best_fits(first, rows, [fit.means[None] for fit in fits[0]], first.n_refine))
    for model, *of_model in zip(models, *fits):
        model._take(of_model, row_weight)


def _best_fits(settings: MiniBatchKMeans, rows: Tensor, seeds: Sequence[Tensor], n_iter: int) -> List[LloydFit]:
    """Of each model, the best of its starts (S, K, C)."""
    starts = [start for of_model in seeds for start in of_model]
    fits = lloyd(rows, starts, n_iter, settings._finish, settings.backend, settings._chunks)
    # products with the centres are in float32
    _check_finite(torch.stack([fit.means.float().square().sum() + fit.inertia for fit in fits]), rows)
    left = iter(fits)
    return [min(islice(left, len(of_model)), key=lambda fit: fit.inertia) for of_model in seeds]


def accumulate(models: Sequence[MiniBatchKMeans], rows: Tensor) -> None:
    """Let several models, of one backend, accumulate the same (N, C) rows; one product for all of them."""
    assert all(model.cluster_centers_ is not None for model in models), 'call init() before accumulate()'
    first, centers = models[0], [model.cluster_centers_ for model in models]
    for model, stats in zip(models, set_stats(rows, centers, first.backend, first._chunks)):
        model._pending = stats if model._pending is None else model._pending + stats


def _check_finite(values: Tensor, rows: Optional[Tensor] = None) -> None:
    """Raise ValueError if values made of feature vectors are not finite; ``rows`` are those of this rank, where they
    are kept."""
    if values.isfinite().all():
        return
    fault = 'feature vectors are not finite, or too large for float32'
    if rows is not None and len(rows):
        bad, largest = int((~torch.isfinite(rows)).any(1).sum()), float(rows.abs().max())
        if bad:
            fault = f'{bad} of {len(rows)} feature vectors are not finite'
        elif largest > _MAX_VALUE:
            fault = f'feature vectors are too large for float32, up to {largest:.1e}'
    raise ValueError(f'{fault}: check the learning rate and the initialisation of the backbone')
