"""Several objects of an image by recursive normalised cuts."""
from typing import Optional, Tuple

import numpy as np

from ..functional import recursive_cut, soft_affinity
from ..registry import PRIORS
from ..utils.checks import check_positive
from .base import border_contact, check_image, check_max_regions, number_regions
from .features import FeaturePrior, make_crf, segment_map


@PRIORS.register_module()
class NormalizedCutPrior(FeaturePrior):
    """Segments of even features that lie off the border of the image, each an object.

    The mask holds ids 1..n, the largest object first, and 0 on segments that are tied to the border.

    Args:
        max_cut: a segment is cut in two while the value of its normalised cut, in 0 to 2, is below this.
        exponent: of the cosines, stretched to 0 to 1, that are the affinities.
        max_regions: segments at most, with those that are ground.
        refine: 'crf' moves the edges by a dense CRF, which needs pydensecrf; None leaves them to the cells.
        threshold: a segment is an object if its saliency, exp(-c^2 / 2), is above this. c is its boundary connectivity,
            cells on the border over the square root of all its cells.
        **kwargs: of :class:`mmseg_unsup.FeaturePrior`; ``min_area`` is also the least share of either side of a cut.

    Source: the cuts are those of :func:`mmseg_unsup.functional.recursive_cut`; the saliency is that of the boundary
    connectivity in Zhu et al., CVPR 2014, section 3.

    Raises:
        ImportError: pydensecrf is not installed.
        ValueError: an option out of its range.
    """

    def __init__(self,
                 backbone: dict,
                 max_cut: float = 0.4,
                 exponent: float = 4.,
                 max_regions: int = 8,
                 refine: Optional[str] = None,
                 threshold: float = 0.5,
                 **kwargs) -> None:
        super().__init__(backbone, threshold=threshold, **kwargs)
        self.max_cut, self.exponent, self.max_regions, self.refine = max_cut, exponent, max_regions, refine
        check_positive('max_cut of NormalizedCutPrior', max_cut)
        check_positive('exponent of NormalizedCutPrior', exponent)
        check_max_regions(self)
        self._crf = make_crf(self, temperature=0.25)  # of scores 0 and 1

    def saliency(self, image: np.ndarray, stem: Optional[str] = None) -> np.ndarray:
        """That of the segment of every pixel, as :meth:`Prior.saliency`."""
        segments, values = self._segments(image)
        return values[segments]

    def __call__(self, image: np.ndarray, stem: Optional[str] = None) -> np.ndarray:
        """(H, W, 3) uint8 RGB -> (H, W) uint8 object ids, 0 for none."""
        check_image(image)
        segments, values = self._segments(image)
        saliency = values[segments]
        objects = np.where(saliency > self.level(saliency), segments, -1)
        return number_regions(objects, self.min_area, self.max_regions)

    def _segments(self, image: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """(H, W) segments, and (S,) float32 saliency of each."""
        feats = self.features(image)
        shape = feats.shape[1:]
        min_cells = max(1, round(self.min_area * feats[0].size))
        affinity = soft_affinity(feats, self.exponent)
        ids = recursive_cut(affinity, self.max_cut, min_cells, self.max_regions).reshape(shape)
        members = ids == np.arange(ids.max() + 1)[:, None, None]  # (S, h, w)
        contacts = np.array([border_contact(member) for member in members])
        return segment_map(members, image, self._crf), np.exp(-contacts**2 / 2).astype(np.float32)
