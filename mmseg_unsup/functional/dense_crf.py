"""Scores smoothed along the edges of the image."""
from abc import ABC, abstractmethod
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from ..utils.checks import check_count, check_positive
from .guided_upsampling import GuidedUpsampling

LEAST = 1e-8  # probability


class CRF(ABC):
    """Settings of the mean-field inference of a fully connected CRF; the defaults are those of STEGO and later work.

    Args:
        temperature: scores become probabilities by ``softmax(scores / temperature)``. The defaults of the rest suit
            logits such as those of a linear probe; distances of unit features and shares of votes need about 0.1.
        n_iter: iterations.
        smooth_xy, smooth_weight: standard deviation in pixels, and weight, of the kernel of position alone.
        edge_xy, edge_rgb, edge_weight: the same of the kernel of position and colour (of 0..255).

    Source: arXiv 1210.5644; settings as in src/crf.py of STEGO's released code.

    Raises:
        ValueError: ``temperature`` or ``n_iter`` is not positive.
    """

    def __init__(self,
                 temperature: float = 1.,
                 n_iter: int = 10,
                 smooth_xy: float = 1.,
                 smooth_weight: float = 3.,
                 edge_xy: float = 67.,
                 edge_rgb: float = 3.,
                 edge_weight: float = 4.) -> None:
        check_positive('temperature of the dense CRF', temperature)
        check_count('n_iter of the dense CRF', n_iter)
        self.temperature, self.n_iter = temperature, n_iter
        self.smooth = dict(sxy=smooth_xy, compat=smooth_weight)
        self.edge = dict(sxy=edge_xy, srgb=edge_rgb, compat=edge_weight)
        self.upsampling = GuidedUpsampling()  # to the pixels of images that are larger than what it sees

    @abstractmethod
    def __call__(self, image: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB, (K, H, W) -> (K, H, W) float32 probabilities."""

    def field(self, image: np.ndarray, scores: Tensor) -> Tensor:
        """(H, W, 3) uint8 RGB, (K, H, W) -> (K, h, w) probabilities on the grid that it is solved on, above 0."""
        found = torch.from_numpy(self(image, scores.cpu().numpy()))
        return found.to(scores.device).clamp_(min=LEAST)

    def bytes_needed(self, n_pixels: int, n_classes: int) -> int:
        """Memory beside image and scores, about."""
        return 16 * n_pixels * n_classes + 100 * n_pixels


class DenseCRF(CRF):
    """Mean-field inference by pydensecrf, whose lattice approximates the kernels.

    Args:
        settings: of :class:`CRF`.

    Raises:
        ImportError: pydensecrf is not installed.
        ValueError: see :class:`CRF`.
    """

    def __init__(self, *settings, **named) -> None:
        super().__init__(*settings, **named)
        if find_spec('pydensecrf') is None:  # now, not after the training images were read
            raise ImportError('a dense CRF needs pydensecrf: pip install "mmseg-unsup[crf]" (it is compiled on '
                              "installation), or set method='exact' in the settings of crf")

    def __call__(self, image: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB, (K, H, W) -> (K, H, W) float32 probabilities."""
        from pydensecrf.densecrf import DenseCRF2D
        from pydensecrf.utils import unary_from_softmax
        n_labels, height, width = scores.shape
        scaled = (scores - scores.max(0)) / self.temperature
        shares = np.exp(scaled)
        shares /= shares.sum(0)
        crf = DenseCRF2D(width, height, n_labels)
        crf.setUnaryEnergy(np.ascontiguousarray(unary_from_softmax(shares.astype(np.float32))))
        crf.addPairwiseGaussian(**self.smooth)
        # the lattice rounds the channels in their order, which is BGR in the code that the values of the field are from
        crf.addPairwiseBilateral(rgbim=np.ascontiguousarray(image[..., ::-1]), **self.edge)
        return np.array(crf.inference(self.n_iter), np.float32).reshape(scores.shape)
