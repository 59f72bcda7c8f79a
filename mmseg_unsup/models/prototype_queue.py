"""Prototypes of past iterations, and those of all ranks in one order."""
from typing import Tuple

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather, get_dist_info
from torch import Tensor, nn

from ..utils.checks import check_count


class PrototypeQueue(nn.Module):
    """A ring of the last ``length`` prototypes; a new one replaces the oldest.

    It starts as unit-length Gaussian noise. Any number of rows may be added at a time, also more than it holds.

    Args:
        length: K.
        channels: D.

    Attributes:
        prototypes (Tensor): (K, D), a buffer: a checkpoint carries it.
        pointer (Tensor): where the next row goes, a buffer.

    Raises:
        ValueError: ``length`` is negative; 0 means no queue.

    Source: MaskContrast (arXiv 2102.06191), section 3.2.
    """

    def __init__(self, length: int, channels: int) -> None:
        super().__init__()
        check_count('queue_length', length, low=0)
        self.register_buffer('prototypes', F.normalize(torch.randn(length, channels), dim=1))
        self.register_buffer('pointer', torch.zeros((), dtype=torch.long))

    def __len__(self) -> int:
        return len(self.prototypes)

    @torch.no_grad()
    def enqueue(self, rows: Tensor) -> None:
        """Add (n, D) rows, the last one the newest; on every rank the same."""
        length = len(self)
        if not length:
            return
        skipped = max(0, len(rows) - length)
        places = torch.arange(skipped, len(rows), device=rows.device)
        self.prototypes[(self.pointer + places) % length] = rows[skipped:].to(self.prototypes)
        self.pointer.copy_((self.pointer + len(rows)) % length)


@torch.no_grad()
def gather_prototypes(rows: Tensor, images: Tensor) -> Tuple[Tensor, Tensor]:
    """Prototypes of all ranks in the order that one process would have them.

    Rank r of W holds the samples r, r + W, ... of the global batch (mmengine's ``DefaultSampler``), so image i of its
    batch is image ``i W + r``.

    Args:
        rows: (n, D) float32 of this rank, n of its own.
        images: (n,) int64, the index of their image in this rank's batch, ascending.

    Returns:
        tuple: (n_1 + ... + n_W, D) rows, and bool whether each is of this rank.
    """
    rank, world_size = get_dist_info()
    if world_size == 1:
        return rows, torch.ones(len(rows), dtype=torch.bool, device=rows.device)
    counts = torch.cat(all_gather(torch.full((1, ), len(rows), device=rows.device))).tolist()
    padded = rows.new_zeros(max(counts), rows.size(1))
    positions = images.new_full((max(counts), ), -1)
    padded[:len(rows)], positions[:len(rows)] = rows, images * world_size + rank
    positions = torch.cat([part[:count] for part, count in zip(all_gather(positions), counts)])
    gathered = torch.cat([part[:count] for part, count in zip(all_gather(padded), counts)])
    order = positions.argsort(stable=True)
    return gathered[order], positions[order] % world_size == rank
