"""The speed of Lloyd's iterations, beside other libraries and what the machine could do at best."""
from importlib.util import find_spec
from typing import Callable, Dict

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..clustering import MiniBatchKMeans
from .stopwatch import cost_clock


def time_lloyd(n_points: int, n_channels: int, n_clusters: int, n_iter: int,
               device: torch.device = torch.device('cpu')) -> Dict[str, dict]:
    """Lloyd's iterations from the same start on overlapping clusters on the unit sphere.

    Returns:
        dict: name -> ``seconds`` (of CPU, or on the clock for a GPU), ``points_per_second`` of an iteration, and
        ``inertia`` where there is one. ``torch`` and ``faiss`` are the backends of :class:`MiniBatchKMeans`;
        ``faiss.Kmeans`` and ``sklearn`` are those libraries' own; ``copy`` (one pass over the rows) and ``product``
        (rows times centres) bound what an iteration can reach.
    """
    rows = _unit_rows(n_points, n_channels).to(device)
    seeds = rows[:n_clusters].clone()
    runs: Dict[str, Callable[[], float]] = dict(torch=lambda: _fit_ours(rows, seeds, n_iter, 'torch'))
    if find_spec('faiss') is not None and device.type == 'cpu':
        runs['faiss'] = lambda: _fit_ours(rows, seeds, n_iter, 'faiss')
        runs['faiss.Kmeans'] = lambda: _fit_faiss(rows, seeds, n_iter)
    if find_spec('sklearn') is not None and device.type == 'cpu':
        runs['sklearn'] = lambda: _fit_sklearn(rows, seeds, n_iter)
    copy, product = torch.zeros_like(rows), rows @ seeds.t()  # memory taken before, as page faults cost more
    runs['copy'] = lambda: _repeat(n_iter, copy.copy_, rows)
    runs['product'] = lambda: _repeat(n_iter, torch.mm, rows, seeds.t(), out=product)
    report, now = {}, cost_clock(device)
    for name, run in runs.items():
        start = now()
        inertia = run()
        seconds = now() - start
        report[name] = dict(seconds=seconds, points_per_second=n_points * n_iter / seconds, inertia=inertia)
    return report


def _unit_rows(n_points: int, n_channels: int) -> Tensor:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((n_points, n_channels), np.float32)
    rows += rng.standard_normal((40, n_channels), np.float32)[rng.integers(40, size=n_points)]
    return F.normalize(torch.from_numpy(rows), dim=1)


def _repeat(times: int, function: Callable, *args, **kwargs) -> None:
    for _ in range(times):
        function(*args, **kwargs)


def _fit_ours(rows: Tensor, seeds: Tensor, n_iter: int, backend: str) -> float:
    model = MiniBatchKMeans(len(seeds), n_iter=n_iter, backend=backend)
    model.init(rows, seeds[None])
    return model.inertia_


def _fit_faiss(rows: Tensor, seeds: Tensor, n_iter: int) -> float:
    import faiss
    # by default faiss takes 256 points a centre and leaves the others out
    model = faiss.Kmeans(rows.size(1), len(seeds), niter=n_iter, max_points_per_centroid=len(rows))
    model.train(rows.numpy(), init_centroids=seeds.numpy())
    return float(model.obj[-1]) / len(rows)


def _fit_sklearn(rows: Tensor, seeds: Tensor, n_iter: int) -> float:
    from sklearn.cluster import KMeans
    model = KMeans(len(seeds), init=seeds.numpy(), n_init=1, max_iter=n_iter, tol=0, algorithm='lloyd')
    return model.fit(rows.numpy()).inertia_ / len(rows)
