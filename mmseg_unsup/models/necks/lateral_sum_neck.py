"""PiCIE's decoder: lateral 1x1 convolutions and a top-down sum, finest level only."""
from typing import List, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...registry import MODELS

# keep of the features what does not depend on the window they are seen in
CONSISTENT = 'consistent'


@MODELS.register_module()
class LateralSumNeck(BaseModule):
    """Bring every level to ``out_channels`` by a 1x1 convolution and add them up from coarse to fine.

    No smoothing convolution, norm or activation. Because everything here is linear, the output is one linear map of
    the *hypercolumn*, all levels brought to the finest grid and concatenated; :meth:`set_projection` sets that map.

    Args:
        in_channels: channels of the levels, fine to coarse.
        out_channels: channels of the output.
        init: ``'random'``, as released, or ``'pca'``: :class:`mmseg_unsup.PCAInitHook` replaces the random laterals by
            principal components of the hypercolumn before training.
        level_weights: for ``'pca'``, weight of each level, fine to coarse.
        position: for ``'pca'``, what is done about the place in the image that the features tell, see
            :class:`mmseg_unsup.PCAInitHook`: None for nothing; ``'consistent'`` keeps of every feature what does not
            depend on the window it is seen in; a number takes out as many directions of features of noise.

    Source: modules/fpn.py of the released PiCIE code.

    Raises:
        ValueError: unknown ``init`` or ``position``, or another number of weights than of levels.
    """

    INITS = ('random', 'pca')

    def __init__(self,
                 in_channels: Sequence[int] = (64, 128, 256, 512),
                 out_channels: int = 128,
                 init: str = 'random',
                 level_weights: Sequence[float] = (0.25, 0.5, 1., 1.),
                 position: Union[int, str, None] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if init not in self.INITS:
            raise ValueError(f'init={init!r} is not one of {self.INITS}')
        if init == 'pca' and len(level_weights) != len(in_channels):
            raise ValueError(f'level_weights has {len(level_weights)} entries for {len(in_channels)} levels')
        check_position(position, init, out_channels)
        self.position = position
        self.in_channels, self.out_channels = tuple(in_channels), out_channels
        self.init, self.level_weights = init, tuple(level_weights)
        self.laterals = nn.ModuleList(nn.Conv2d(channels, out_channels, 1) for channels in in_channels)

    def forward(self, inputs: Tuple[Tensor, ...]) -> Tuple[Tensor]:
        """Levels (N, C_l, h_l, w_l), fine to coarse -> a tuple of one (N, C, h, w) map on the finest grid."""
        self._check_levels(inputs)
        out = None
        for lateral, level in zip(reversed(self.laterals), reversed(inputs)):
            level = lateral(level)
            out = level if out is None else level + _upsample(out, level)
        return (out, )

    def hypercolumn(self, inputs: Tuple[Tensor, ...]) -> Tensor:
        """Levels -> (N, sum of C_l, h, w), each brought up level by level as :meth:`forward` does."""
        self._check_levels(inputs)
        columns: List[Tensor] = []
        for level in reversed(inputs):
            columns = [level] + [_upsample(column, level) for column in columns]
        return torch.cat(columns, 1)

    def _check_levels(self, inputs: Tuple[Tensor, ...]) -> None:
        if len(inputs) != len(self.laterals):
            raise ValueError(f'LateralSumNeck has {len(self.laterals)} laterals, but the backbone gives {len(inputs)} '
                             'levels: match neck.in_channels and backbone.out_indices')
        channels = tuple(level.size(1) for level in inputs)
        if channels != self.in_channels:
            raise ValueError(f'LateralSumNeck has in_channels={self.in_channels}, but the backbone gives {channels}: '
                             'set model.neck.in_channels to these')

    @torch.no_grad()
    def set_projection(self, weight: Tensor, bias: Tensor) -> None:
        """Make the output ``weight @ hypercolumn + bias``: (C, sum of C_l) and (C,)."""
        for lateral, part in zip(self.laterals, weight.split(self.in_channels, dim=1)):
            lateral.weight.copy_(part[..., None, None])
            lateral.bias.zero_()
        self.laterals[0].bias.copy_(bias)


def check_position(position: Union[int, str, None], init: str, n_channels: int) -> None:
    """Raise ValueError if this is no ``position`` of a :class:`LateralSumNeck`."""
    if position is None:
        return
    if init != 'pca':
        raise ValueError(f"model.neck.position={position!r} changes principal components: set model.neck.init='pca', "
                         f'not {init!r}')
    is_number = isinstance(position, int) and not isinstance(position, bool) and 0 < position < n_channels
    if position != CONSISTENT and not is_number:
        raise ValueError(f"model.neck.position={position!r}: give None, '{CONSISTENT}' or a number of directions from "
                         f'1 to {n_channels - 1}')


def _upsample(feats: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(feats, size=like.shape[-2:], mode='bilinear', align_corners=False)
