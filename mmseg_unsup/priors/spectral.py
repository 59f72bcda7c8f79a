"""Saliency by a normalised cut of the features of a backbone."""
from typing import Optional

import numpy as np

from ..functional import binary_affinity, cut_vector
from ..registry import PRIORS
from ..utils.checks import check_share
from .base import border_contact, enlarge, rescale
from .features import FeaturePrior, check_affinity_threshold
from .grabcut import check_refine, refine_by_grabcut


@PRIORS.register_module()
class SpectralPrior(FeaturePrior):
    """The side of the normalised cut that touches the border less, averaged with the map of another prior.

    Colour knows edges, features know objects: the two fail on different images.

    Args:
        affinity_threshold: cosine of features from which two cells belong together.
        fusion_weight: of the cut, from 0 to 1; the rest is that of ``fused_with``.
        fused_with: config of the other prior.
        refine, refine_side: as of :class:`mmseg_unsup.RBDPrior`, of the sum.
        **kwargs: of :class:`mmseg_unsup.FeaturePrior`.

    Source: the cut is that of TokenCut (Wang et al., CVPR 2022, section 3.2), on features centred per image, with the
    side chosen by its contact with the border.

    Raises:
        ValueError: an option out of its range.
    """
    of_transformer = dict(FeaturePrior.of_transformer, affinity_threshold=0.2)

    def __init__(self,
                 backbone: dict,
                 affinity_threshold: float = 0.,
                 fusion_weight: float = 0.4,
                 fused_with: dict = dict(type='mmseg_unsup.RBDPrior', refine=None),
                 refine: Optional[str] = 'grabcut',
                 refine_side: int = 200,
                 **kwargs) -> None:
        super().__init__(backbone, **kwargs)
        self.affinity_threshold, self.fusion_weight, self.fused_with = affinity_threshold, fusion_weight, fused_with
        self.refine, self.refine_side = refine, refine_side
        check_refine(self)
        check_affinity_threshold(self)
        check_share('fusion_weight of SpectralPrior', fusion_weight)
        self._other = PRIORS.build(dict(fused_with)) if fusion_weight < 1 else None

    def saliency(self, image: np.ndarray, stem: Optional[str] = None) -> np.ndarray:
        """The map of the cut, as :meth:`Prior.saliency`."""
        saliency = enlarge(cut_map(self.features(image), self.affinity_threshold), image.shape)
        if self._other is not None:
            saliency = self.fusion_weight * saliency + (1 - self.fusion_weight) * self._other.saliency(image, stem)
        saliency = saliency.astype(np.float32)
        return refine_by_grabcut(image, saliency, self.refine_side) if self.refine else saliency


def cut_map(feats: np.ndarray, threshold: float) -> np.ndarray:
    """(C, h, w) centred features -> (h, w) in 0..1, 1 on the side of the cut that touches the border less."""
    vector = cut_vector(binary_affinity(feats, threshold)).reshape(feats.shape[1:])
    side = vector > vector.mean()
    return rescale(vector if border_contact(side) < border_contact(~side) else -vector)
