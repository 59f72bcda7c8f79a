"""How often the nearest labelled cells of the training images have the right class."""
from typing import Optional

import torch
from torch import Tensor

from ...registry import PROBES
from ...utils.checks import check_count, check_positive
from .base import LabelledCellsProbe, vote_of_neighbours

# Bytes of the similarities of a chunk of cells, by device.
_CHUNK_BYTES = dict(cpu=2**25, cuda=2**29)


@PROBES.register_module()
class DenseKNNProbe(LabelledCellsProbe):
    """Each cell is classified by its nearest labelled cells of the training images; score it by ``match='identity'``.

    Scores are shares of a vote, see :func:`vote_of_neighbours`. Nothing is trained.

    Args:
        k: neighbours.
        max_cells: size of the bank, see :class:`LabelledCellsProbe`.
        temperature: small values trust the nearest neighbours more.
        chunk_bytes: memory of the similarities of a chunk of cells; None for a default that suits the device.

    Source: the weighted vote of arXiv 1805.01978 (section 3.4) with the k and temperature that DINO (arXiv 2104.14294)
    uses for images.

    Raises:
        ValueError: bad option; the bank has fewer than ``k`` cells; see also :class:`LabelledCellsProbe`.
    """

    def __init__(self,
                 name: str = 'knn',
                 k: int = 20,
                 max_cells: int = 20_000,
                 temperature: float = 0.07,
                 chunk_bytes: int = None,
                 **kwargs) -> None:
        super().__init__(name, max_cells, **kwargs)
        check_count(f'k of the probe {name!r}', k)
        check_positive(f'temperature of the probe {name!r}', temperature)
        self.k, self.temperature, self.chunk_bytes = k, temperature, chunk_bytes

    def finish(self) -> str:
        self.bank, self.bank_labels = self.gather()
        if len(self.bank) < self.k:
            raise ValueError(f'the probe {self.name!r} asks for k={self.k} neighbours, but the images gave '
                             f'{len(self.bank)} labelled cells: lower k, or give more images or max_cells')
        return f'a bank of {len(self.bank)} cells of {len(self.bank_labels.unique())} classes'

    def scores(self, feats: Tensor, index: int = 0, segments: Optional[Tensor] = None) -> Tensor:
        rows = feats.permute(0, 2, 3, 1)
        budget = self.chunk_bytes or _CHUNK_BYTES.get(feats.device.type, _CHUNK_BYTES['cpu'])
        chunks = rows.flatten(0, 2).split(max(1, budget // (4 * len(self.bank))))
        votes = [
            vote_of_neighbours(chunk, self.bank, self.bank_labels, self.n_classes, self.k, self.temperature)
            for chunk in chunks
        ]
        return torch.cat(votes).unflatten(0, rows.shape[:3]).permute(0, 3, 1, 2)
