"""The speed of Lloyd's iterations, beside other libraries and what the machine could do at best."""
import math
from importlib.util import find_spec
from typing import Callable, Dict, Tuple

import torch
import torch.nn.functional as F
from mmengine.runner import Runner
from torch import Tensor

from ..clustering import MiniBatchKMeans
from ..clustering.backends import WIDTH
from ..engine.feature_pass import set_view_key, unwrap
from ..engine.fitting import feature_batches
from ..engine.probe_loader import probe_dataloader
from ..engine.starting import initialize
from .stopwatch import cost_clock

# rows of a product that stays in the cache
_CHUNK = dict(cpu=2048, cuda=2**20)


@torch.no_grad()
def start_features(runner: Runner, n_points: int) -> Tensor:
    """Unit-length features (n, C) of the training images under the weights that the training starts from: so many, or
    all there are."""
    initialize(runner)
    model, loader = unwrap(runner.model).eval(), probe_dataloader(runner)
    set_view_key(loader, runner.seed or 0, 0)
    parts, n_rows = [], 0
    for batch in feature_batches(model, loader, 'features'):
        parts.append(batch.feats().permute(0, 2, 3, 1).flatten(0, 2)[:n_points - n_rows])
        n_rows += len(parts[-1])
        if n_rows == n_points:
            break
    return torch.cat(parts)


def time_lloyd(rows: Tensor, n_clusters: int, n_iter: int) -> Dict[str, dict]:
    """Lloyd's iterations on (N, C) rows from the same start, random rows; each twice.

    Returns:
        dict: name -> ``seconds`` (of CPU, or on the clock for a GPU), ``iterations`` that were made of ``n_iter``,
        ``points_per_second`` of an iteration, and ``inertia`` where there is one. ``torch`` and ``faiss`` are the
        backends of :class:`MiniBatchKMeans`; ``faiss.Kmeans`` and ``sklearn`` (which assigns the rows once more at
        the end) are those libraries' own; ``copy`` (one pass over the rows) and ``product`` (rows times centres, in
        pieces that stay in the cache) bound what an iteration can reach.
    """
    seeds = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(n_clusters))[:n_clusters]]
    runs: Dict[str, Callable[[], Tuple[float, int]]] = dict(torch=lambda: _fit_ours(rows, seeds, n_iter, 'torch'))
    if not rows.is_cuda and find_spec('faiss') is not None:
        runs['faiss'] = lambda: _fit_ours(rows, seeds, n_iter, 'faiss')
        runs['faiss.Kmeans'] = lambda: _fit_faiss(rows, seeds, n_iter)
    if not rows.is_cuda and find_spec('sklearn') is not None:
        runs['sklearn'] = lambda: _fit_sklearn(rows, seeds, n_iter)
    copy = torch.zeros_like(rows)  # memory taken before, as page faults cost more
    runs['copy'] = lambda: _repeat(n_iter, lambda: copy.copy_(rows))
    runs['product'] = lambda: _repeat(n_iter, _product(rows, seeds))
    report, now = {}, cost_clock(rows.device)
    for _ in range(2):  # in turns, of which the faster counts
        for name, run in runs.items():
            start = now()
            inertia, n_done = run()
            seconds = min(now() - start, report.get(name, dict(seconds=math.inf))['seconds'])
            report[name] = dict(seconds=seconds, iterations=n_done, points_per_second=len(rows) * n_done / seconds,
                                inertia=inertia)
    return report


def _repeat(times: int, function: Callable) -> Tuple[None, int]:
    for _ in range(times):
        function()
    return None, times


def _product(rows: Tensor, seeds: Tensor) -> Callable:
    """The one product of an iteration."""
    padded = F.pad(seeds, (0, 0, 0, -len(seeds) % WIDTH)).t().contiguous()
    pieces = rows.split(_CHUNK[rows.device.type])
    out = rows.new_empty((len(pieces[0]), padded.size(1)))

    def multiply() -> None:
        for piece in pieces:
            torch.mm(piece, padded, out=out[:len(piece)])

    return multiply


def _fit_ours(rows: Tensor, seeds: Tensor, n_iter: int, backend: str) -> Tuple[float, int]:
    model = MiniBatchKMeans(len(seeds), n_iter=n_iter, backend=backend)
    model.init(rows, seeds[None])
    return model.inertia_, model.n_iter_


def _fit_faiss(rows: Tensor, seeds: Tensor, n_iter: int) -> Tuple[float, int]:
    import faiss
    # by default faiss takes 256 points a centre and leaves the others out
    model = faiss.Kmeans(rows.size(1), len(seeds), niter=n_iter, max_points_per_centroid=len(rows))
    model.train(rows.numpy(), init_centroids=seeds.numpy())
    return float(model.obj[-1]) / len(rows), len(model.obj)


def _fit_sklearn(rows: Tensor, seeds: Tensor, n_iter: int) -> Tuple[float, int]:
    from sklearn.cluster import KMeans
    model = KMeans(len(seeds), init=seeds.numpy(), n_init=1, max_iter=n_iter, tol=0, algorithm='lloyd')
    model.fit(rows.numpy())
    return model.inertia_ / len(rows), model.n_iter_
