"""Assignment of rows to their nearest centre: the one costly step of k-means, on torch or faiss."""
import warnings
from importlib.util import find_spec
from typing import Callable, Optional, Tuple

import torch
from torch import Tensor

from ..utils.checks import check_count

BACKENDS = ('auto', 'torch', 'faiss')
# Bytes of the scores and copies of a chunk of rows. On a CPU they should stay in the cache; a GPU wants large matrices.
CHUNK_BYTES = dict(cpu=2**23, cuda=2**29)
MIN_CHUNK = 256
# From this many clusters on faiss is the faster one on a CPU (mmseg-unsup benchmark --only kmeans).
FAISS_MIN_CLUSTERS = 16


class TorchBackend:
    """One matrix product and one maximum per chunk, on any device."""
    name = 'torch'

    def assign(self, rows: Tensor, centers: Tensor, with_distance: bool = False) -> Tuple[Tensor, Optional[Tensor]]:
        """(n, C), (K, C) float32 -> (n,) int64 nearest centre, and squared distance (n,) if asked for."""
        # |x - mu|^2 = |x|^2 - 2 (x.mu - |mu|^2 / 2): the largest score is the smallest distance
        scores, index = torch.addmm(-0.5 * centers.square().sum(1), rows, centers.t()).max(1)
        return index, (rows.square().sum(1) - 2 * scores).clamp_(min=0) if with_distance else None


class FaissBackend:
    """faiss's exact search; on CUDA rows it needs the GPU build.

    Raises:
        ImportError: faiss is not installed, or has no GPU support and the rows are on a GPU.
    """
    name = 'faiss'

    def __init__(self, device: torch.device) -> None:
        check_backend(self.name)
        import faiss
        self.faiss, self.resources = faiss, None
        if device.type == 'cuda':
            if not hasattr(faiss, 'StandardGpuResources'):
                raise ImportError("backend='faiss' found a faiss without GPU support: uninstall faiss-cpu, then "
                                  "pip install \"mmseg-unsup[gpu]\", or use backend='torch'")
            import faiss.contrib.torch_utils  # noqa: F401 -- lets faiss take CUDA tensors
            self.resources = faiss.StandardGpuResources()

    def assign(self, rows: Tensor, centers: Tensor, with_distance: bool = False) -> Tuple[Tensor, Optional[Tensor]]:
        """The nearest centres, as :meth:`TorchBackend.assign` gives them."""
        if self.resources is not None:
            squared, index = self.faiss.knn_gpu(self.resources, rows.contiguous(), centers.contiguous(), 1)
        else:
            squared, index = (torch.from_numpy(a) for a in self.faiss.knn(rows.numpy(), centers.numpy(), 1))
        # faiss answers -1 for rows that are not finite; the caller finds those in the sums
        return index[:, 0].long().clamp_(min=0), squared[:, 0].clamp_(min=0) if with_distance else None


def check_backend(name: str) -> None:
    """Fail before the first pass over the data.

    Raises:
        ValueError: unknown name.
        ImportError: faiss is asked for and not installed.
    """
    if name not in BACKENDS:
        raise ValueError(f'backend={name!r} is not one of {BACKENDS}')
    if name == 'faiss' and find_spec('faiss') is None:
        raise ImportError("backend='faiss' needs faiss: pip install \"mmseg-unsup[faiss]\" (\"mmseg-unsup[gpu]\" for "
                          "GPUs), or use backend='torch'")


def build_backend(name: str, device: torch.device, n_clusters: int):
    """The backend for rows on ``device``; ``'auto'`` takes the faster one of those installed."""
    if name == 'auto':
        prefers_faiss = device.type == 'cpu' and n_clusters >= FAISS_MIN_CLUSTERS and find_spec('faiss') is not None
        name = 'faiss' if prefers_faiss else 'torch'
    return FaissBackend(device) if name == 'faiss' else TorchBackend()


class ChunkedRows:
    """Walks over rows in float32 chunks that fit a byte budget, and in smaller ones once memory ran out.

    Args:
        chunk_bytes: budget; None takes ``CHUNK_BYTES`` of the device.
    """

    def __init__(self, chunk_bytes: Optional[int] = None) -> None:
        if chunk_bytes is not None:
            check_count('chunk_bytes', chunk_bytes)
        self.chunk_bytes = chunk_bytes

    def for_each(self, rows: Tensor, n_clusters: int, function: Callable[[Tensor], None]) -> None:
        """Call ``function`` on every chunk of (N, C) rows; it must have no effect when it runs out of memory."""
        start = 0
        while start < len(rows):
            size = self._chunk_size(rows, n_clusters)
            try:
                function(rows[start:start + size].float())
            except RuntimeError as error:
                if not _is_out_of_memory(error) or size <= MIN_CHUNK:
                    raise
                self._shrink(rows.device, size, n_clusters, rows.size(1))
                continue
            start += size

    def _chunk_size(self, rows: Tensor, n_clusters: int) -> int:
        budget = self.chunk_bytes or CHUNK_BYTES.get(rows.device.type, CHUNK_BYTES['cpu'])
        return max(MIN_CHUNK, budget // _bytes_per_row(n_clusters, rows.size(1)))

    def _shrink(self, device: torch.device, size: int, n_clusters: int, n_channels: int) -> None:
        self.chunk_bytes = size // 2 * _bytes_per_row(n_clusters, n_channels)
        if device.type == 'cuda':
            torch.cuda.empty_cache()
        warnings.warn(f'out of memory with {size} rows at a time in k-means: going on with {size // 2}. To silence this, '
                      f'set kmeans.chunk_bytes={self.chunk_bytes}')


def _bytes_per_row(n_clusters: int, n_channels: int) -> int:
    """float32 scores, and the row in float32 and float64."""
    return 4 * n_clusters + 12 * n_channels


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.cuda.OutOfMemoryError) or "can't allocate memory" in str(error)


def member_sums(rows: Tensor, index: Tensor, n_clusters: int) -> Tensor:
    """(n, C) rows, (n,) cluster of each -> (K, C) float64 sum of the members.

    Sums of float32 values in float64 are exact to 1e-16: how rows are spread over chunks and ranks leaves no trace that
    Lloyd's iterations could amplify.
    """
    rows = rows.double()
    # on a GPU, adding rows one by one collides on the few clusters and is not deterministic
    return _sums_by_product(rows, index, n_clusters) if rows.is_cuda else _sums_by_adding(rows, index, n_clusters)


def _sums_by_product(rows: Tensor, index: Tensor, n_clusters: int) -> Tensor:
    members = torch.arange(n_clusters, device=rows.device)[:, None] == index
    return members.to(rows) @ rows


def _sums_by_adding(rows: Tensor, index: Tensor, n_clusters: int) -> Tensor:
    return rows.new_zeros((n_clusters, rows.size(1))).index_add_(0, index, rows)
