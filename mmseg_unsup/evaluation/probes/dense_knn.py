"""How often the nearest labelled cells of the training images have the right class."""
from typing import Optional

import torch
from torch import Tensor

from ...registry import PROBES
from .base import LabelledCellsProbe, NeighboursProbe

# Bytes of the similarities of a chunk of cells, by device.
_CHUNK_BYTES = dict(cpu=2**25, cuda=2**29)


@PROBES.register_module()
class DenseKNNProbe(NeighboursProbe, LabelledCellsProbe):
    """Each cell is classified by its nearest labelled cells of the training images; score it by ``match='identity'``.

    Scores are shares of a vote, see :meth:`vote`. Nothing is trained.

    Args:
        k: neighbours.
        max_cells: size of the bank, see :class:`LabelledCellsProbe`.
        temperature: small values trust the nearest neighbours more.
        chunk_bytes: memory of the similarities of a chunk of cells; None for a default that suits the device.

    Source: the weighted vote of arXiv 1805.01978 (section 3.4) with the k and temperature that DINO (arXiv 2104.14294)
    uses for images.
    """
    remedy = 'give more images or max_cells'

    def __init__(self,
                 name: str = 'knn',
                 k: int = 20,
                 max_cells: int = 20_000,
                 temperature: float = 0.07,
                 chunk_bytes: int = None,
                 **kwargs) -> None:
        super().__init__(name, k, temperature, max_cells=max_cells, **kwargs)
        self.chunk_bytes = chunk_bytes

    def scores(self, feats: Tensor, index: int = 0, segments: Optional[Tensor] = None) -> Tensor:
        rows = feats.permute(0, 2, 3, 1)
        budget = self.chunk_bytes or _CHUNK_BYTES.get(feats.device.type, _CHUNK_BYTES['cpu'])
        chunks = rows.flatten(0, 2).split(max(1, budget // (4 * len(self.bank))))
        return torch.cat([self.vote(chunk) for chunk in chunks]).unflatten(0, rows.shape[:3]).permute(0, 3, 1, 2)
