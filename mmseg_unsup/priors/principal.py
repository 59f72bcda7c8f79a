"""Regions of an image by the principal directions of its features."""
from typing import Optional

import numpy as np
import torch

from ..functional import mask_log_probabilities, principal_masks
from ..registry import PRIORS
from ..utils.checks import check_share
from .base import check_image, check_max_regions, number_regions
from .features import FeaturePrior, make_crf, segment_map


@PRIORS.register_module()
class PrincipalMaskPrior(FeaturePrior):
    """PriMaPs' principal masks: regions of like features that together cover an image. All are equally objects.

    The mask holds ids 1..n, the largest region first, and 0 where no principal mask is sure.

    Args:
        mask_threshold: share of the largest cosine with its anchor from which a cell belongs to a mask.
        covered: share of the cells after which there is no further mask.
        max_regions: masks at most.
        refine: 'crf' moves the edges by a dense CRF, as published, which needs pydensecrf; None leaves them to the
            cells.
        center, min_area, **kwargs: as of :class:`mmseg_unsup.FeaturePrior`, without ``threshold``.

    Source: Hahn et al., TMLR 2024, section 3.1, see :func:`mmseg_unsup.functional.principal_masks`; there on the tokens
    of a DINO transformer.

    Raises:
        ImportError: pydensecrf is not installed.
        ValueError: an option out of its range.
    """
    tells_ground, of_transformer = False, dict(out='tokens')

    def __init__(self,
                 backbone: dict,
                 mask_threshold: float = 0.4,
                 covered: float = 0.95,
                 max_regions: int = 32,
                 refine: Optional[str] = None,
                 center: bool = False,
                 min_area: float = 0.01,
                 **kwargs) -> None:
        super().__init__(backbone, center=center, threshold=0., min_area=min_area, **kwargs)
        self.mask_threshold, self.covered, self.max_regions, self.refine = mask_threshold, covered, max_regions, refine
        check_share('mask_threshold of PrincipalMaskPrior', mask_threshold)
        check_share('covered of PrincipalMaskPrior', covered)
        check_max_regions(self)
        self._crf = make_crf(self)

    def saliency(self, image: np.ndarray, stem: Optional[str] = None) -> np.ndarray:
        """1 in regions that are large enough, else 0."""
        return (self(image, stem) > 0).astype(np.float32)

    def __call__(self, image: np.ndarray, stem: Optional[str] = None) -> np.ndarray:
        """(H, W, 3) uint8 RGB -> (H, W) uint8 region ids, 0 for none."""
        check_image(image)
        feats = torch.from_numpy(self.features(image))
        masks = principal_masks(feats, self.mask_threshold, self.covered, self.max_regions)
        segments = segment_map(mask_log_probabilities(masks).numpy(), image, self._crf)
        return number_regions(segments - 1, self.min_area, self.max_regions)
