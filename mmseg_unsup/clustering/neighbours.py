"""Classes of feature cells by the soft labels of their nearest neighbours in a memory: torch or faiss, in blocks."""
from functools import cache
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..utils.checks import check_count, check_positive
from ..utils.devices import full_float32
from .backends import check_backend, import_faiss

# Bytes of the similarities of a block, and rows of the memory in it.
BLOCK_BYTES = dict(cpu=2**25, cuda=2**29)
BLOCK_ROWS = 2**15

Neighbours = Tuple[Tensor, Tensor]  # (n, k) inner products, descending, and (n, k) int64 rows of the memory


class NeighbourVote:
    """How neighbours vote: the ``k`` rows of a memory with the largest cosine s, each for its soft label with the
    weight ``exp(s / temperature)``.

    Args:
        k: neighbours; all of a memory that has fewer.
        temperature: small values trust the nearest ones more.
        backend: what searches, ``'torch'`` or ``'faiss'``; ``'auto'`` is torch, which is as fast.
        block_bytes: memory of the similarities of a block; None for a default that suits the device.
        owner: whose options these are, for messages.

    Raises:
        ValueError: an option that cannot be; ImportError: faiss is not installed.

    Source: the weighted vote of arXiv 1805.01978 (section 3.4); soft labels of cells, 30 neighbours and the temperature
    0.02 of arXiv 2306.01667, whose evaluation Open Hummingbird released.
    """

    def __init__(self, k: int = 30, temperature: float = 0.02, backend: str = 'auto',
                 block_bytes: Optional[int] = None, owner: str = '') -> None:
        check_count(f'k{owner}', k)
        check_positive(f'temperature{owner}', temperature)
        check_backend(backend)
        if block_bytes is not None:
            check_count(f'block_bytes{owner}', block_bytes)
        self.k, self.temperature, self.backend, self.block_bytes = k, temperature, backend, block_bytes

    def __call__(self, rows: Tensor, memory: Tensor, labels: Tensor) -> Tensor:
        """(n, C) rows of any length, (M, C) memory of unit length and its (M, K) soft labels -> (n, K) shares of the
        vote."""
        rows = F.normalize(rows.float(), dim=1)
        size = self._block_size(rows.device, min(len(memory), BLOCK_ROWS), labels.size(1))
        return torch.cat([self._vote(block, memory, labels) for block in rows.split(size)])

    def on_maps(self, feats: Tensor, memory: Tensor, labels: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, K, h, w); an image's are the same whatever the others of the batch."""
        rows = feats.permute(0, 2, 3, 1)
        votes = [self(of_image.flatten(0, 1), memory, labels).unflatten(0, of_image.shape[:2]) for of_image in rows]
        return torch.stack(votes).permute(0, 3, 1, 2)

    def _block_size(self, device: torch.device, n_rows: int, n_classes: int) -> int:
        budget = self.block_bytes or BLOCK_BYTES.get(device.type, BLOCK_BYTES['cpu'])
        return max(1, budget // (4 * (n_rows + self.k * n_classes)))

    def _vote(self, rows: Tensor, memory: Tensor, labels: Tensor) -> Tensor:
        similarity, index = nearest_rows(rows, memory, min(self.k, len(memory)), self.backend)
        return attend(similarity, labels[index], self.temperature)


def attend(similarity: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """(n, k) cosines of neighbours, their (n, k, K) soft labels -> (n, K), the mean of the labels weighted by
    ``softmax(s / temperature)``."""
    weights = (similarity / temperature).softmax(1)
    return torch.bmm(weights[:, None], labels)[:, 0]


def nearest_rows(rows: Tensor, memory: Tensor, k: int, backend: str = 'auto') -> Neighbours:
    """The ``k`` rows of an (M, C) memory that have the largest inner products with each of (n, C) rows, on their
    device.

    Raises:
        ImportError: faiss is not installed, or has no GPU support and the rows are on a GPU.
    """
    return (_search_faiss if backend == 'faiss' else _search_torch)(rows, memory, k)


def _search_torch(rows: Tensor, memory: Tensor, k: int) -> Neighbours:
    best, index = rows.new_empty(len(rows), 0), rows.new_empty((len(rows), 0), dtype=torch.long)
    for start in range(0, len(memory), BLOCK_ROWS):
        block = memory[start:start + BLOCK_ROWS]
        with full_float32():
            found, places = (rows @ block.t()).topk(min(k, len(block)), dim=1)
        best, order = torch.cat([best, found], 1).topk(min(k, start + len(block)), dim=1)
        index = torch.cat([index, places + start], 1).gather(1, order)
    return best, index


def _search_faiss(rows: Tensor, memory: Tensor, k: int) -> Neighbours:
    faiss = import_faiss(rows.is_cuda)
    if rows.is_cuda:
        found, index = faiss.knn_gpu(_gpu_resources(), rows.contiguous(), memory.contiguous(), k,
                                     metric=faiss.METRIC_INNER_PRODUCT)
    else:
        arrays = faiss.knn(rows.numpy(), memory.numpy(), k, metric=faiss.METRIC_INNER_PRODUCT)
        found, index = map(torch.from_numpy, arrays)
    return found, index.long()


@cache
def _gpu_resources():
    """Temporary memory of faiss, which takes time to get."""
    return import_faiss(True).StandardGpuResources()
