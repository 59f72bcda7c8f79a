"""Codes that stand for the cells of a feature map, and what was seen of each."""
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..utils.checks import check_count
from .sized_module import SizedModule


class Codebook(nn.Module):
    """Fitted vectors, of which each cell of a feature map takes the one with the largest cosine. Nothing trains it.

    As a part of a network it adds the map of those vectors to the maps that it gets.

    Args:
        n_codes: K.
        channels: C.
        in_index: which of the maps is looked at.

    Attributes:
        weight (Tensor): (K, C), of any length; zero before the fit.

    Raises:
        ValueError: ``n_codes`` is no whole number from 2 on.
    """

    is_frozen = True

    def __init__(self, n_codes: int, channels: int, in_index: int = 0) -> None:
        super().__init__()
        check_count('n_codes', n_codes, low=2)
        self.in_index, self._is_fitted = in_index, False
        self.register_buffer('weight', torch.zeros(n_codes, channels))

    @property
    def is_fitted(self) -> bool:
        if not self._is_fitted:  # asked until it is so: the answer of a GPU takes time
            self._is_fitted = bool(self.weight.any())
        return self._is_fitted

    @torch.no_grad()
    def fit(self, codes: Tensor) -> None:
        """Store (K, C) codes."""
        self.weight.copy_(codes)

    @torch.no_grad()
    def nearest(self, feats: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, h, w) int64 codes."""
        with torch.autocast(feats.device.type, enabled=False):
            units = F.normalize(self.weight, dim=1)
            return torch.einsum('nchw,kc->nkhw', F.normalize(feats.float(), dim=1), units).argmax(1)

    @torch.no_grad()
    def forward(self, maps: Tuple[Tensor, ...]) -> Tuple[Tensor, ...]:
        """Maps -> the same, and the (N, C, h, w) codes of one of them."""
        codes = self.weight[self.nearest(maps[self.in_index])]
        return (*maps, codes.permute(0, 3, 1, 2).to(maps[self.in_index].dtype))


class CodeBank(SizedModule):
    """Vectors of past steps, the last ``length`` of each code; a random half of those of a step comes in.

    Args:
        length: of a code; 0 for no bank.
        channels: D.

    Attributes:
        vectors (Tensor): (M, D), code by code, the newest last; a buffer, so that a continued run goes on with them.
        codes (Tensor): (M,) int64, ascending.

    Source: CAUSE (arXiv 2310.07379), section 3.3; sizes of the released code.

    Raises:
        ValueError: a negative length.
    """

    sized = ('vectors', 'codes')

    def __init__(self, length: int, channels: int) -> None:
        super().__init__()
        check_count('bank_length', length, low=0)
        self.length = length
        self.register_buffer('vectors', torch.zeros(0, channels))
        self.register_buffer('codes', torch.zeros(0, dtype=torch.long))

    def __len__(self) -> int:
        return len(self.codes)

    @torch.no_grad()
    def add(self, vectors: Tensor, codes: Tensor, order: Optional[Tensor] = None) -> None:
        """Take half of (n, D) vectors of each of their (n,) codes, the oldest ones of a code go; on every rank alike.

        Args:
            order: (n,) permutation, of which those of a code that come first are taken; None: as they are.
        """
        if not self.length:
            return
        codes, vectors = (codes, vectors) if order is None else (codes[order], vectors[order])
        codes, index = codes.sort(stable=True)
        place, count = _places(codes)
        taken = torch.nonzero(place < count // 2)[:, 0]  # once for both: the host waits for it
        codes, order = torch.cat([self.codes, codes[taken]]).sort(stable=True)
        vectors = torch.cat([self.vectors, vectors[index[taken]].to(self.vectors)])
        place, count = _places(codes)
        kept = torch.nonzero(place >= count - self.length)[:, 0]
        self.codes, self.vectors = codes[kept], vectors[order[kept]]


def _places(codes: Tensor) -> Tuple[Tensor, Tensor]:
    """(n,) ascending codes -> (n,) the number of each among those of its code, and how many these are."""
    first = torch.searchsorted(codes, codes)
    return torch.arange(len(codes), device=codes.device) - first, torch.searchsorted(codes, codes, right=True) - first
