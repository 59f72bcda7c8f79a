"""A feature pyramid from the one map of a plain vision transformer."""
from typing import Optional, Sequence, Tuple, Union

import torch
from mmseg.models.necks import Feature2Pyramid
from mmseg.models.utils.san_layers import LayerNorm2d
from torch import Tensor, nn

from ...registry import MODELS
from .lateral_sum_neck import LateralSumNeck


@MODELS.register_module()
class PlainViTPyramid(LateralSumNeck):
    """Levels of 4, 2, 1 and 1/2 times the grid of the last map, then their lateral sum.

    Levels are made by mmseg's ``Feature2Pyramid`` with layer norm: transposed convolutions, and max pooling for the
    coarsest. Each convolution starts as nearest-neighbour enlargement: random ones would give the cells that one patch
    becomes features of their own, and clusters would be positions in the patch.

    Args:
        embed_dims: channels C of the map.
        out_channels, init, level_weights, position: see :class:`LateralSumNeck`.

    Source: ViTDet (arXiv 2203.16527), section 3, simple feature pyramid.

    Raises:
        ValueError: as :class:`LateralSumNeck`.
    """

    def __init__(self,
                 embed_dims: int = 384,
                 out_channels: int = 128,
                 init: str = 'random',
                 level_weights: Sequence[float] = (0.25, 0.5, 1., 1.),
                 position: Union[int, str, None] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__([embed_dims] * 4, out_channels, init, level_weights, position, init_cfg)
        self.pyramid = Feature2Pyramid(embed_dims, norm_cfg=dict(type=LayerNorm2d))
        for module in self.pyramid.modules():
            if isinstance(module, nn.ConvTranspose2d):
                _init_as_enlargement(module)

    def forward(self, inputs: Tuple[Tensor]) -> Tuple[Tensor]:
        """A tuple of one (N, C, h, w) -> a tuple of one (N, out_channels, 4 h, 4 w)."""
        return super().forward(self.levels(inputs))

    def hypercolumn(self, inputs: Tuple[Tensor]) -> Tensor:
        """A tuple of one (N, C, h, w) -> (N, 4 C, 4 h, 4 w)."""
        return super().hypercolumn(self.levels(inputs))

    def levels(self, inputs: Tuple[Tensor]) -> Tuple[Tensor, ...]:
        """A tuple of one (N, C, h, w) -> four maps (N, C, ., .), fine to coarse."""
        if len(inputs) != 1:
            raise ValueError(f'PlainViTPyramid makes its levels from one map, but the backbone gives {len(inputs)}: '
                             'set backbone.out_indices to its last layer')
        return self.pyramid(tuple(inputs) * 4)


@torch.no_grad()
def _init_as_enlargement(conv: nn.ConvTranspose2d) -> None:
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)
    conv.weight[range(conv.in_channels), range(conv.out_channels)] = 1
