"""The head of STEGO and of most of its successors."""
from typing import Optional, Sequence, Tuple, Union

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...registry import MODELS
from ...utils.checks import check_choice, check_counts
from .batch_dropout import BatchDropout

_ACTIVATIONS = dict(relu=nn.ReLU, silu=nn.SiLU)


@MODELS.register_module()
class ResidualProjection(BaseModule):
    """The sum of a 1x1 convolution and of two with an activation between them: few channels, the *code* of a feature.

    Args:
        in_channels: C of the map that is projected.
        out_channels: of the code.
        activation: ``'relu'``, or ``'silu'`` of SmooSeg.
        dropout: share of the channels that are zero in training, drawn for each of the two branches.
        elementwise: drop single numbers, as CAUSE does, in place of channels of a whole image.
        in_index: which of the backbone's outputs is projected; of several, what they are side by side, as EAGLE's keys
            of three blocks.

    Source: STEGO (arXiv 2203.08414), section 4.3; ``DinoFeaturizer`` of the released code, by whose names the weights
    are called.

    Raises:
        ValueError: an unknown activation, or a number that cannot be; a map has other channels.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 activation: str = 'relu',
                 dropout: float = 0.1,
                 elementwise: bool = False,
                 in_index: Union[int, Sequence[int]] = 0,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        check_choice('activation', activation, _ACTIVATIONS)
        check_counts(**{'model.neck.in_channels': in_channels, 'model.neck.out_channels': out_channels})
        self.in_channels, self.out_channels, self.in_index = in_channels, out_channels, in_index
        self.dropout = BatchDropout(dropout, elementwise)
        self.cluster1 = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1))
        self.cluster2 = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, 1), _ACTIVATIONS[activation](), nn.Conv2d(in_channels, out_channels, 1))

    def forward(self, inputs: Tuple[Tensor, ...]) -> Tuple[Tensor]:
        """Maps of which one is (N, C, h, w) -> a tuple of one (N, D, h, w)."""
        feats = inputs[self.in_index] if isinstance(self.in_index, int) else torch.cat(
            [inputs[index] for index in self.in_index], 1)
        check_channels(feats, self.in_channels)
        return (self.cluster1(self.dropout(feats)) + self.cluster2(self.dropout(feats)), )


def check_channels(feats: Tensor, expected: int) -> None:
    """Raise ValueError unless (N, C, h, w) features are as wide as a config says."""
    if feats.size(1) != expected:
        raise ValueError(f'model.neck.in_channels is {expected}, but what the backbone gives the neck has '
                         f'{feats.size(1)} channels: set it to {feats.size(1)}, or choose other outputs '
                         '(model.backbone.out, model.neck.in_index)')
