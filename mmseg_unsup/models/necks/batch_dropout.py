"""Dropout that is the same on any number of processes."""
import torch
import torch.nn.functional as F
from mmengine.dist import get_world_size
from torch import Tensor, nn

from ...utils.whole_batch import own_draws


class BatchDropout(nn.Dropout):
    """``nn.Dropout``, or ``nn.Dropout2d``, that draws for the images of all processes together, as one process would.

    It is collective in training mode.

    Args:
        p: share of what is zero in training.
        elementwise: drop single numbers; else channels of a whole image.
    """

    def __init__(self, p: float, elementwise: bool = False) -> None:
        super().__init__(p)
        self.elementwise = elementwise

    def forward(self, feats: Tensor) -> Tensor:
        """(N, C, h, w) -> the same."""
        if not self.training or get_world_size() == 1:
            return self._drop(feats)
        return feats * own_draws(self._factors_like(feats), len(feats), feats.device)

    def _drop(self, feats: Tensor) -> Tensor:
        return (F.dropout if self.elementwise else F.dropout2d)(feats, self.p, self.training)

    def _factors_like(self, feats: Tensor):
        """What makes the 0 or 1 / (1 - p) of as many images: on the device, and in the order of the memory, of which
        the numbers depend. Processes exchange 4 bytes a channel, or elementwise as much as the features are: 19 MB for
        16 images of 28 x 28 cells and 384 channels."""
        like = feats.detach() if self.elementwise else feats.detach()[:, :, :1, :1]
        return lambda n_images: self._drop(torch.ones_like(torch.cat([like] * (n_images // len(like)))))
