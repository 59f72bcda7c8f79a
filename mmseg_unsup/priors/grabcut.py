"""Soft maps pulled to the contours of the image."""
import cv2
import numpy as np
from skimage.filters import threshold_otsu

from .base import Prior, enlarge, shrink

# GrabCut starts its colour models from random centres.
_SEED, _MIN_PIXELS = 0, 20


def check_refine(prior: Prior) -> None:
    """Raise ValueError for a ``refine`` or ``refine_side`` that does not exist."""
    if prior.refine not in ('grabcut', None):
        raise ValueError(f"refine={prior.refine!r} of {type(prior).__name__}: give 'grabcut' or None")
    if prior.refine_side <= 0:
        raise ValueError(f'refine_side={prior.refine_side!r} of {type(prior).__name__} must be positive')


def refine_by_grabcut(image: np.ndarray, saliency: np.ndarray, side: int) -> np.ndarray:
    """The mean of a map and of a GrabCut that starts from it.

    Args:
        image: (H, W, 3) uint8 RGB.
        saliency: (H, W) in 0..1.
        side: pixels of the longer side at which GrabCut works.
    """
    return (saliency + enlarge(grabcut(shrink(image, side), saliency), saliency.shape)) / 2


def grabcut(image: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """(h, w, 3) RGB, a map of any size -> (h, w) float32, 0 or 1, of one round of GrabCut from the map by Otsu.

    Returns the map itself where either side is too small for a colour model, or GrabCut leaves one side empty.

    Source: Rother et al., GrabCut, SIGGRAPH 2004, as OpenCV has it.
    """
    saliency = enlarge(saliency, image.shape)
    inside = saliency > threshold_otsu(saliency)
    if min(inside.sum(), (~inside).sum()) < _MIN_PIXELS:
        return saliency
    mask = np.where(inside, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    cv2.setRNGSeed(_SEED)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(image[..., ::-1]), mask, None, *models, 1, cv2.GC_INIT_WITH_MASK)
    result = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD))
    return result.astype(np.float32) if result.any() and not result.all() else saliency
