"""Assignment of rows to their nearest centre: the one costly step of k-means, on torch or faiss."""
import math
import warnings
from importlib.util import find_spec
from typing import Callable, List, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..utils.checks import check_count
from ..utils.devices import full_float32, is_asynchronous

BACKENDS = ('auto', 'torch', 'faiss')
# Bytes of the scores and copies of a chunk of rows. On a CPU they should stay in the cache; a GPU wants large matrices.
CHUNK_BYTES = dict(cpu=2**23, cuda=2**29)
MIN_CHUNK = 256
# Products are fastest where the number of columns is a multiple of the machine's vectors.
WIDTH = 16

Nearest = Tuple[Tensor, Optional[Tensor]]  # (n,) int64 centres, (n,) squared distances


class TorchBackend:
    """Nearest centres in several sets: one matrix product for all of them, on any device.

    Args:
        sets: (K, C) float32 centres of each.
    """
    name = 'torch'

    def __init__(self, sets: Sequence[Tensor]) -> None:
        self._sizes = [len(centers) for centers in sets]
        self._widths = [-(-size // WIDTH) * WIDTH for size in self._sizes]
        padded = [F.pad(centers, (0, 0, 0, width - len(centers))) for centers, width in zip(sets, self._widths)]
        # |x - mu|^2 = |x|^2 - 2 (x.mu - |mu|^2 / 2): the largest score is the smallest distance
        biases = [F.pad(-0.5 * centers.square().sum(1), (0, width - len(centers)), value=-math.inf)
                  for centers, width in zip(sets, self._widths)]
        self._weight, self._bias = torch.cat(padded).t().contiguous(), torch.cat(biases)
        self._scores = self._bias.new_empty((0, len(self._bias)))

    def assign(self, rows: Tensor, with_distance: bool = False) -> List[Nearest]:
        """(n, C) float32 rows -> per set, the nearest centres, and the squared distances if asked for."""
        if len(self._scores) < len(rows):  # memory that is taken anew for every chunk costs more than the search
            self._scores = self._bias.new_empty((len(rows), len(self._bias)))
        with full_float32():
            scores = torch.addmm(self._bias, rows, self._weight, out=self._scores[:len(rows)])
        norms = rows.square().sum(1) if with_distance else None
        found = []
        for block, size in zip(scores.split(self._widths, 1), self._sizes):
            # a row that is not finite may be nearest to the padding; the caller finds it in the sums
            index = _argmax(block).clamp_(max=size - 1)
            found.append((index, (norms - 2 * block.amax(1)).clamp_(min=0) if with_distance else None))
        return found


def _argmax(scores: Tensor) -> Tensor:
    """(n, K) float32 -> (n,) int64, the largest of each line; NumPy's search is 4 to 8 times as fast on CPUs."""
    return torch.from_numpy(scores.numpy().argmax(1)) if scores.device.type == 'cpu' else scores.argmax(1)


class FaissBackend:
    """faiss's exact search; on CUDA rows it needs the GPU build.

    Raises:
        ImportError: faiss is not installed, or has no GPU support and the rows are on a GPU.
    """
    name = 'faiss'

    def __init__(self, sets: Sequence[Tensor]) -> None:
        self.faiss, self.resources = import_faiss(sets[0].is_cuda), None
        self._sets = [centers.contiguous() for centers in sets]
        if sets[0].is_cuda:
            self.resources = self.faiss.StandardGpuResources()

    def assign(self, rows: Tensor, with_distance: bool = False) -> List[Nearest]:
        """The nearest centres, as :meth:`TorchBackend.assign` gives them."""
        return [self._search(rows, centers, with_distance) for centers in self._sets]

    def _search(self, rows: Tensor, centers: Tensor, with_distance: bool) -> Nearest:
        if self.resources is not None:
            squared, index = self.faiss.knn_gpu(self.resources, rows.contiguous(), centers, 1)
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


def import_faiss(on_gpu: bool):
    """The package, which takes CUDA tensors if it is to search on a GPU; an ImportError where it cannot."""
    check_backend('faiss')
    import faiss
    if on_gpu:
        if not hasattr(faiss, 'StandardGpuResources'):
            raise ImportError("backend='faiss' found a faiss without GPU support: uninstall faiss-cpu, then "
                              "pip install \"mmseg-unsup[gpu]\", or use backend='torch'")
        import faiss.contrib.torch_utils  # lets faiss take CUDA tensors
    return faiss


def build_backend(name: str, sets: Sequence[Tensor]):
    """The backend that searches in these sets of centres, on their device; ``'auto'`` is the faster one, torch's
    (``mmseg-unsup benchmark --only kmeans``)."""
    return FaissBackend(sets) if name == 'faiss' else TorchBackend(sets)


class ChunkedRows:
    """Walks over rows in float32 chunks that fit a byte budget, and in smaller ones once memory ran out.

    Args:
        chunk_bytes: budget; None takes ``CHUNK_BYTES`` of the device.
    """

    def __init__(self, chunk_bytes: Optional[int] = None) -> None:
        if chunk_bytes is not None:
            check_count('chunk_bytes', chunk_bytes)
        self.chunk_bytes = chunk_bytes

    def for_each(self, rows: Tensor, n_clusters: int, function: Callable[[Tensor, slice], None]) -> None:
        """Call ``function`` on every chunk of (N, C) rows and where it lies; it must have no effect when it runs out of
        memory."""
        start = 0
        while start < len(rows):
            size = self._chunk_size(rows, n_clusters)
            try:
                function(rows[start:start + size].float(), slice(start, start + size))
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
        warnings.warn(f'out of memory with {size} rows at a time in k-means: going on with {size // 2}. To silence '
                      f'this, set kmeans.chunk_bytes={self.chunk_bytes}', stacklevel=2)


def _bytes_per_row(n_clusters: int, n_channels: int) -> int:
    """float32 scores, and the row in float32 and float64."""
    return 4 * n_clusters + 12 * n_channels


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.cuda.OutOfMemoryError) or "can't allocate memory" in str(error)


def member_stats(rows: Tensor, index: Tensor, n_clusters: int) -> Tensor:
    """(n, C) float64 rows, (n,) cluster of each -> (K, C + 1) sum of the members and their number.

    Sums of float32 values in float64 are exact to 1e-16: how rows are spread over chunks and ranks leaves no trace that
    Lloyd's iterations could amplify.
    """
    # on a GPU, adding rows one by one collides on the few clusters and is not deterministic
    return (_stats_by_product if is_asynchronous(rows.device) else _stats_by_adding)(rows, index, n_clusters)


def _stats_by_product(rows: Tensor, index: Tensor, n_clusters: int) -> Tensor:
    members = (torch.arange(n_clusters, device=rows.device)[:, None] == index).to(rows)
    return torch.cat([members @ rows, members.sum(1, keepdim=True)], 1)


def _stats_by_adding(rows: Tensor, index: Tensor, n_clusters: int) -> Tensor:
    sums = rows.new_zeros((n_clusters, rows.size(1))).index_add_(0, index, rows)
    return torch.cat([sums, torch.bincount(index, minlength=n_clusters)[:, None]], 1)
