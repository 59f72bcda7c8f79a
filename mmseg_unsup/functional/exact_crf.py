"""The dense CRF without a compiled package: exact on a grid of cells, brought to the pixels by a guided filter."""
import math

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..utils.checks import check_count
from .dense_crf import LEAST, CRF
from .guided_upsampling import GuidedUpsampling


class ExactCRF(CRF):
    """Mean-field inference whose kernels are sums over all pairs of cells.

    An image of up to ``max_cells`` pixels is solved pixel by pixel. A larger one is made smaller; the logarithms of
    the probabilities of its cells then follow the edges of the image by :class:`GuidedUpsampling`.

    Args:
        settings: of :class:`CRF`, in pixels of the image.
        max_cells: N; time and memory are those of two matrices (N, N), 4 N^2 bytes each: 164 MB with the default.
        filter_radius, filter_epsilon: see :class:`GuidedUpsampling`.

    Source: arXiv 1210.5644, equations 2 to 4, kernels normalised from both sides as pydensecrf does.

    Raises:
        ValueError: ``max_cells`` or one of the filter is not positive; see :class:`CRF`.
    """

    def __init__(self, *settings, max_cells: int = 6400, filter_radius: int = 4, filter_epsilon: float = 1e-3,
                 **named) -> None:
        super().__init__(*settings, **named)
        check_count('max_cells of the dense CRF', max_cells)
        self.max_cells, self.upsampling = max_cells, GuidedUpsampling(filter_radius, filter_epsilon)

    @torch.no_grad()
    def __call__(self, image: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB, (K, H, W) -> (K, H, W) float32 probabilities."""
        found = self.field(image, torch.from_numpy(np.ascontiguousarray(scores, np.float32)))
        if found.shape[1:] != image.shape[:2]:
            found = self.upsampling(image, found.log()).softmax(0)
        return found.numpy()

    @torch.no_grad()
    def field(self, image: np.ndarray, scores: Tensor) -> Tensor:
        height, width = image.shape[:2]
        logits = scores.float() / self.temperature
        scale = min(1., math.sqrt(self.max_cells / (height * width)))
        if scale == 1:
            return self._solve(image, logits, 1.)
        grid = max(1, int(height * scale)), max(1, int(width * scale))
        cells = cv2.resize(image, grid[::-1], interpolation=cv2.INTER_AREA)
        return self._solve(cells, F.adaptive_avg_pool2d(logits, grid), scale).clamp_(min=LEAST)

    def bytes_needed(self, n_pixels: int, n_classes: int) -> int:
        return 12 * n_pixels * n_classes + 12 * min(n_pixels, self.max_cells)**2

    def _solve(self, image: np.ndarray, logits: Tensor, scale: float) -> Tensor:
        """(h, w, 3), (K, h, w) -> (K, h, w) probabilities; ``scale``: cells of a pixel."""
        unary = logits.log_softmax(0).flatten(1).t()
        pull = self._kernels(torch.from_numpy(np.ascontiguousarray(image)).to(logits.device), scale)
        found = unary.softmax(1)
        for _ in range(self.n_iter):
            found = (unary + pull @ found).softmax(1)
        return found.t().reshape(logits.shape)

    def _kernels(self, image: Tensor, scale: float) -> Tensor:
        """(h, w, 3) -> (N, N): how much the cells agree that they are alike."""
        height, width = image.shape[:2]
        rows, columns = torch.meshgrid(
            *(torch.arange(side, device=image.device) for side in (height, width)), indexing='ij')
        places = torch.stack([rows, columns], 2).view(-1, 2) / scale
        pull = _normalised_kernel(places / self.smooth['sxy']).mul_(self.smooth['compat'])
        colours = image.reshape(-1, 3) / self.edge['srgb']
        kernel = _normalised_kernel(torch.cat([places / self.edge['sxy'], colours], 1))
        return pull.add_(kernel, alpha=self.edge['compat'])


def _normalised_kernel(feats: Tensor) -> Tensor:
    """(N, D) -> (N, N) Gaussian kernel of the rows, divided by the roots of the sums of line and column."""
    kernel = torch.cdist(feats, feats, compute_mode='donot_use_mm_for_euclid_dist').square_().mul_(-0.5).exp_()
    norm = kernel.sum(1).rsqrt_()
    return kernel.mul_(norm[:, None]).mul_(norm)
