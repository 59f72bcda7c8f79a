"""Where a patch is: the two codes of position of DINO's transformers, for any grid and without choices by its size.

Exported files follow the size of an image because nothing here looks at values on the host.
"""
import math
from typing import Tuple

import torch
from torch import Tensor, nn

# the free number of cubic convolution: of torch's bicubic interpolation, of that with antialias
_CUBIC, _CUBIC_ANTIALIAS = -0.75, -0.5
_BASE = 100.  # longest period over shortest, to the power of (head - 2) / head


def resize_positions(positions: Tensor, h: int, w: int, antialias: bool) -> Tensor:
    """Position embeddings of another grid, bicubically, with the values that the official code has.

    DINO and DINOv2 without registers tell the interpolation a factor, of (h + 0.1) / G, and not a size, which shifts
    all cells by a little; a square image of the grid's own size gets the embeddings as they are. DINOv2 with registers
    tells it the size and asks for antialias.

    Args:
        positions: (1, G * G, C), of a square grid.
        antialias: the rule of DINOv2 with registers.

    Returns:
        (1, h * w, C).
    """
    side = math.isqrt(positions.size(1))
    cells = [torch.arange(n, dtype=torch.float32, device=positions.device) for n in (h, w)]
    if antialias:
        rows, columns = (_antialiased_weights(own, side) for own in cells)
    else:
        sizes = [own[-1] + 1 for own in cells]
        is_other = (sizes[0] != side) | (sizes[1] != side)
        rows, columns = (_bicubic_weights(own, side, side / (size + 0.1 * is_other)) for own, size in zip(cells, sizes))
    grid = positions.reshape(side, side, -1).float()
    with torch.autocast(positions.device.type, enabled=False):  # it would round positions
        resized = rows @ (columns @ grid).flatten(1)  # no einsum, which ONNX has from opset 12 on
    return resized.reshape(1, -1, positions.shape[2]).to(positions.dtype)


def _bicubic_weights(cells: Tensor, side: int, step: Tensor) -> Tensor:
    """(n, side) weights of the old cells in new ones that lie ``step`` old cells apart; beyond the border lie copies
    of the outermost."""
    centres = (cells + 0.5) * step - 0.5
    taps = centres.floor()[:, None] + torch.arange(-1, 3, device=cells.device)
    weights = _cubic(centres[:, None] - taps, _CUBIC)
    is_cell = taps.clamp(0, side - 1)[..., None] == torch.arange(side, device=cells.device)
    return (weights[..., None] * is_cell).sum(1)


def _antialiased_weights(cells: Tensor, side: int) -> Tensor:
    """(n, side) weights of the old cells in new ones, whose reach grows with them; beyond the border is nothing."""
    step = side / (cells[-1] + 1)
    old = torch.arange(side, dtype=torch.float32, device=cells.device) + 0.5
    weights = _cubic((old - (cells[:, None] + 0.5) * step) / step.clamp(min=1), _CUBIC_ANTIALIAS)
    return weights / weights.sum(1, keepdim=True)


def _cubic(distance: Tensor, a: float) -> Tensor:
    """The kernel of cubic convolution (Keys 1981)."""
    d = distance.abs()
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = a * (((d - 5) * d + 8) * d - 4)
    return torch.where(d <= 1, near, far) * (d < 2)


class RotaryPositions(nn.Module):
    """Angles by which DINOv3 turns queries and keys (arXiv 2508.10104, section 3): each axis goes from -1 to 1.

    Args:
        head_dims: channels d of a head, a multiple of 4.

    Attributes:
        periods (Tensor): (d / 4,) of the waves along either axis; a file may hold them rounded to bfloat16.
    """

    def __init__(self, head_dims: int) -> None:
        super().__init__()
        self.register_buffer('periods', _BASE**(2 * torch.arange(head_dims // 4) / (head_dims // 2)))

    def forward(self, h: int, w: int) -> Tuple[Tensor, Tensor]:
        """Sine and cosine, each (h * w, d) float32; channels are those of the rows, then of the columns, twice."""
        device = self.periods.device
        rows, columns = (_centres(torch.arange(n, dtype=torch.float32, device=device)) for n in (h, w))
        waves = 2 * math.pi / self.periods.float()
        angles = torch.cat([(rows[:, None] * waves)[:, None].expand(-1, columns.shape[0], -1),
                            (columns[:, None] * waves)[None].expand(rows.shape[0], -1, -1)], -1).flatten(0, 1)
        angles = torch.cat([angles, angles], -1)
        return angles.sin(), angles.cos()


def _centres(cells: Tensor) -> Tensor:
    return (2 * cells + 1) / (cells[-1] + 1) - 1


def rotate(x: Tensor, rotation: Tuple[Tensor, Tensor]) -> Tensor:
    """Turn the last tokens of (N, heads, L, d), as many as there are angles, in float32; those before stay."""
    sin, cos = rotation
    n_before = x.shape[2] - sin.shape[0]
    before, turned = x[:, :, :n_before], x[:, :, n_before:].float()
    first, second = turned.chunk(2, -1)
    turned = turned * cos + torch.cat([-second, first], -1) * sin
    return torch.cat([before, turned.to(x.dtype)], 2)
