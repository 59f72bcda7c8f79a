"""The transformer head of CAUSE."""
from typing import Optional, Tuple

import torch.nn.functional as F
import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...registry import MODELS
from ...utils.checks import check_count
from .residual_projection import ResidualProjection, check_channels


@MODELS.register_module()
class ConceptDecoder(BaseModule):
    """One layer of a transformer decoder, whose queries are the codes of the cells, then a residual projection.

    The codes of an image look at each other, then at its features; the features are added to the result. Learned
    positions are added to the queries in both, so that it is made for images of one size.

    Args:
        in_channels: C of features and codes.
        out_channels: of the projection.
        n_cells: h w of the feature map of an image.
        hidden_channels: between the two linear layers.
        dropout: share of the numbers that are zero in training.
        in_index: which of the backbone's outputs has the features; the codes are the last of its inputs.

    Source: CAUSE (arXiv 2310.07379), section 3.3; names of weights are those of DETR's layer and, below ``projection``,
    of :class:`mmseg_unsup.ResidualProjection`.

    Raises:
        ValueError: a number that cannot be; an image of another number of cells.
    """

    reads_codes = True

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 n_cells: int,
                 hidden_channels: int = 2048,
                 dropout: float = 0.1,
                 in_index: int = 0,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        check_count('model.neck.n_cells', n_cells)
        self.in_channels, self.out_channels, self.in_index = in_channels, out_channels, in_index
        self.query_pos = nn.Parameter(torch.randn(n_cells, in_channels))
        for name in ('self_attn', 'multihead_attn'):
            self.add_module(name, nn.MultiheadAttention(in_channels, 1, dropout, batch_first=True))
        self.linear1 = nn.Linear(in_channels, hidden_channels)
        self.linear2 = nn.Linear(hidden_channels, in_channels)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(in_channels) for _ in range(3))
        self.dropout = nn.Dropout(dropout)
        self.projection = ResidualProjection(in_channels, out_channels)
        self.projection.dropout = self.dropout  # of each process alone, as the attention draws

    def forward(self, inputs: Tuple[Tensor, ...]) -> Tuple[Tensor]:
        """Maps of which one is (N, C, h, w) features and the last their codes -> a tuple of one (N, D, h, w)."""
        feats, height = inputs[self.in_index], inputs[self.in_index].size(2)
        check_channels(feats, self.in_channels)
        memory, queries = (maps.flatten(2).transpose(1, 2) for maps in (feats, inputs[-1]))  # (N, h w, C)
        decoded = self._decode(queries, memory) + memory
        return self.projection((decoded.transpose(1, 2).unflatten(2, (height, -1)), ))

    def _decode(self, queries: Tensor, memory: Tensor) -> Tensor:
        if queries.size(1) != len(self.query_pos):
            raise ValueError(f'the transformer head has learned positions of {len(self.query_pos)} cells, but the '
                             f'image has {queries.size(1)}: give images of the size that it was trained with, or set '
                             'model.neck.n_cells for a training of another size')
        placed = queries + self.query_pos
        queries = self.norm1(queries + self._attend(self.self_attn, placed, placed, queries))
        placed = queries + self.query_pos
        queries = self.norm2(queries + self._attend(self.multihead_attn, placed, memory, memory))
        hidden = self.linear2(self.dropout(F.relu(self.linear1(queries))))
        return self.norm3(queries + self.dropout(hidden))

    def _attend(self, attention: nn.Module, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        return self.dropout(attention(queries, keys, values, need_weights=False)[0])
