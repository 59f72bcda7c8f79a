"""Prototypes of past iterations."""
import torch
import torch.nn.functional as F
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
