"""Superpixels, and what is known of each and of neighbours."""
from typing import NamedTuple

import numpy as np
from skimage.segmentation import slic

from .base import border_values


class Superpixels(NamedTuple):
    """S superpixels of an image of h x w pixels."""
    ids: np.ndarray  # (h, w) int64, 0..S-1
    colors: np.ndarray  # (S, 3) mean CIELAB colour
    positions: np.ndarray  # (S, 2) centre (y, x), where 1 is the longer side
    neighbors: np.ndarray  # (S, S) bool, which touch (8-connected); False on the diagonal
    on_border: np.ndarray  # (S,) bool, which touch the border of the image


def find_superpixels(lab: np.ndarray, n_superpixels: int, compactness: float) -> Superpixels:
    """SLIC on an (h, w, 3) CIELAB image; ``n_superpixels`` is about how many come out.

    Args:
        compactness: weight of the distance in space, in CIELAB units.

    Source: SLIC (Achanta et al., TPAMI 2012), as scikit-image has it.
    """
    # slic stretches what it is given to 0..1
    span = max(float(lab.max() - lab.min()), 1e-6)
    ids = slic(lab, n_superpixels, compactness / span, convert2lab=False, start_label=0)
    ids = (np.cumsum(np.bincount(ids.ravel()) > 0) - 1)[ids]  # numbers that do not occur are left out
    pixels = np.stack(np.indices(ids.shape), -1) / max(ids.shape)
    on_border = np.isin(np.arange(ids.max() + 1), border_values(ids))
    return Superpixels(ids, region_means(lab, ids), region_means(pixels, ids), touching(ids), on_border)


def region_means(values: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """(h, w, C) values, (h, w) ids 0..S-1 that all occur -> (S, C) mean of each."""
    flat = ids.ravel()
    sums = np.stack([np.bincount(flat, channel) for channel in values.reshape(len(flat), -1).T], 1)
    return sums / np.bincount(flat)[:, None]


def touching(ids: np.ndarray) -> np.ndarray:
    """(h, w) ids 0..S-1 -> (S, S) bool, which touch by a side or a corner."""
    n_ids = ids.max() + 1
    result = np.zeros(n_ids**2, bool)  # flat, in which one index is looked up in half the time of two
    for first, second in ((ids[:, 1:], ids[:, :-1]), (ids[1:], ids[:-1]), (ids[1:, 1:], ids[:-1, :-1]),
                          (ids[1:, :-1], ids[:-1, 1:])):
        result[n_ids * first + second] = True
    result = result.reshape(n_ids, n_ids)
    result |= result.T
    np.fill_diagonal(result, False)
    return result
