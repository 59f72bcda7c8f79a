"""Regions of even colour, for scenes without an object in front of a ground."""
from typing import Optional

import cv2
import numpy as np
from skimage.color import rgb2lab
from skimage.graph import RAG, merge_hierarchical

from ..registry import PRIORS
from .base import Prior, check_image, check_max_regions, number_regions, shrink
from .superpixels import Superpixels, find_superpixels


@PRIORS.register_module()
class RegionPrior(Prior):
    """Superpixels, merged while the mean colours of two neighbours differ little. All regions are equally objects.

    The mask holds ids 1..n, the largest region first, and 0 where a region is smaller than ``min_area``.

    Args:
        max_side: pixels of the longer side at which it works; larger images are reduced first.
        n_superpixels: about how many to start from.
        compactness: of the superpixels, see :func:`find_superpixels`.
        max_difference: neighbours are merged, the most alike first, while the means of their colours are less than this
            apart, in CIELAB units.
        max_regions: n at most; of more regions the smallest become 0.
        min_area: as of :class:`Prior`.

    Source: the regions are those of scikit-image's ``merge_hierarchical`` on a region adjacency graph.
    """
    tells_ground = False

    def __init__(self,
                 max_side: int = 300,
                 n_superpixels: int = 250,
                 compactness: float = 20.,
                 max_difference: float = 12.,
                 max_regions: int = 32,
                 min_area: float = 0.01) -> None:
        super().__init__(threshold=0., min_area=min_area)
        self.max_side, self.n_superpixels, self.compactness = max_side, n_superpixels, compactness
        self.max_difference, self.max_regions = max_difference, max_regions
        for name in ('max_side', 'compactness', 'max_difference'):
            if getattr(self, name) <= 0:
                raise ValueError(f'{name}={getattr(self, name)!r} of RegionPrior must be positive')
        if n_superpixels < 2:
            raise ValueError(f'n_superpixels={n_superpixels!r} of RegionPrior must be at least 2')
        check_max_regions(self)

    def saliency(self, image: np.ndarray, stem: Optional[str] = None) -> np.ndarray:
        """1 in regions that are large enough, else 0."""
        return (self(image, stem) > 0).astype(np.float32)

    def __call__(self, image: np.ndarray, stem: Optional[str] = None) -> np.ndarray:
        """(H, W, 3) uint8 RGB -> (H, W) uint8 region ids, 0 for none."""
        check_image(image)
        superpixels = find_superpixels(rgb2lab(shrink(image, self.max_side)), self.n_superpixels, self.compactness)
        merged = merge_regions(superpixels, self.max_difference)[superpixels.ids]
        merged = cv2.resize(merged.astype(np.uint16), image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        return number_regions(merged, self.min_area, self.max_regions)


def merge_regions(superpixels: Superpixels, max_difference: float) -> np.ndarray:
    """(S,) region of each superpixel; pairs are merged in the order of their difference."""
    sizes = np.bincount(superpixels.ids.ravel())
    graph = RAG()
    for s, (size, color) in enumerate(zip(sizes, superpixels.colors)):
        graph.add_node(s, labels=[s], size=int(size), color=color)
    for first, second in zip(*np.nonzero(np.triu(superpixels.neighbors))):
        graph.add_edge(int(first), int(second), **_difference(graph, None, first, second))
    # the labels of the superpixels themselves: one look-up instead of one over all pixels
    return merge_hierarchical(np.arange(len(sizes)), graph, max_difference, False, True, _join, _difference)


def _join(graph: RAG, source: int, target: int) -> None:
    """Give ``target`` the colour and size of both."""
    first, second = graph.nodes[source], graph.nodes[target]
    size = first['size'] + second['size']
    second['color'] = (first['size'] * first['color'] + second['size'] * second['color']) / size
    second['size'] = size


def _difference(graph: RAG, source: Optional[int], target: int, neighbor: int) -> dict:
    """The edge of a pair, in the form that scikit-image takes."""
    return dict(weight=float(np.linalg.norm(graph.nodes[target]['color'] - graph.nodes[neighbor]['color'])))
