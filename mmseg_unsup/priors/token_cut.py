"""The object of an image by TokenCut."""
from typing import Optional

import numpy as np

from ..functional import token_cut
from ..registry import PRIORS
from .base import enlarge, rescale
from .features import FeaturePrior, check_affinity_threshold
from .grabcut import check_refine, refine_by_grabcut


@PRIORS.register_module()
class TokenCutPrior(FeaturePrior):
    """The side of a normalised cut of the features whose cells are farthest from an even split, its main part alone.

    Args:
        affinity_threshold: cosine of features above which two cells belong together.
        refine, refine_side: as of :class:`mmseg_unsup.RBDPrior`.
        **kwargs: of :class:`mmseg_unsup.FeaturePrior`.

    Source: Wang et al., CVPR 2022, section 3.2. As published with ``out='keys', center=False,
    affinity_threshold=0.2`` of a DINO ViT-S/16 and ``refine=None``; there a bilateral solver refines the masks.

    Raises:
        ValueError: an option out of its range.
    """
    of_transformer = dict(FeaturePrior.of_transformer, affinity_threshold=0.2)

    def __init__(self,
                 backbone: dict,
                 affinity_threshold: float = 0.,
                 refine: Optional[str] = 'grabcut',
                 refine_side: int = 200,
                 **kwargs) -> None:
        super().__init__(backbone, **kwargs)
        self.affinity_threshold, self.refine, self.refine_side = affinity_threshold, refine, refine_side
        check_refine(self)
        check_affinity_threshold(self)

    def saliency(self, image: np.ndarray, stem: Optional[str] = None) -> np.ndarray:
        """The vector of the cut, 0 in parts of the object's side that are apart from it, as :meth:`Prior.saliency`."""
        cut = token_cut(self.features(image), self.affinity_threshold)
        saliency = enlarge(np.where(cut.side & ~cut.mask, 0, rescale(cut.vector)), image.shape)
        return refine_by_grabcut(image, saliency, self.refine_side) if self.refine else saliency
