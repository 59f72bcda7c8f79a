"""Feature maps of several views of an image, on one grid."""
from typing import Callable, List, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..utils.devices import to_device
from .warp import warp

# of F.normalize
_EPS = 1e-12


def view_features(extract: Callable[[Tensor], Tensor],
                  views: Sequence[Tensor],
                  data_samples: Sequence,
                  rounding: Optional[str] = None,
                  apart: bool = False) -> List[Tensor]:
    """V image batches (N, 3, H, W) -> V feature maps (N, C, h, w) on the grid of the first view.

    The first view's image was cropped and flipped; of the other views, the feature maps are: PiCIE's geometry.

    Args:
        extract: (N, 3, H, W) images -> (N, C, h, w) features.
        data_samples: N, with ``crop_box`` and ``flip`` of :class:`mmseg_unsup.PairedCropFlip`.
        rounding: of the crop, see :func:`warp`.
        apart: one view after the other, for batch norm that trains: it sees one view at a time.
    """
    boxes, flips = view_geometry(data_samples, views[0].device)
    feats = [extract(images) for images in views] if apart else extract(torch.cat(list(views))).chunk(len(views))
    first, *others = feats
    return [first, *(warp(feat, boxes, flips, rounding) for feat in others)]


def view_geometry(data_samples: Sequence, device: torch.device) -> Tuple[Tensor, Tensor]:
    """The recorded geometry of N samples on a device, in one copy that nobody waits for: (N, 4) float32 boxes, and
    (N,) bool flips."""
    rows = torch.tensor([[*sample.crop_box, sample.flip] for sample in data_samples], dtype=torch.float32)
    boxes, flips = to_device(rows, device).split([4, 1], 1)
    return boxes, flips[:, 0].bool()


def unit(feats: Tensor) -> Tensor:
    """(N, C, ...) -> the same in float32, of unit length in C: ``F.normalize`` with a gradient in half the time."""
    return _Unit.apply(feats.float()) if feats.requires_grad and torch.is_grad_enabled() else F.normalize(
        feats.float(), dim=1)


class _Unit(torch.autograd.Function):
    """With u = x / max(|x|, eps) and g the gradient for u, that for x is ``(g - u (u.g)) / |x|``."""

    @staticmethod
    def forward(ctx, feats: Tensor) -> Tensor:
        norms = torch.linalg.vector_norm(feats, dim=1, keepdim=True)
        units = feats / norms.clamp(min=_EPS)
        ctx.save_for_backward(units, norms)
        return units

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> Tensor:
        units, norms = ctx.saved_tensors
        radial = (grad * units).sum(1, keepdim=True).masked_fill_(norms < _EPS, 0)
        return torch.addcmul(grad, units, radial, value=-1).div_(norms.clamp(min=_EPS))
