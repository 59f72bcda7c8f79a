"""Saliency by robust background detection: no weights, no labels."""
from typing import Optional, Sequence, Tuple, Union

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, floyd_warshall
from scipy.spatial.distance import cdist
from skimage.color import rgb2lab

from ..registry import PRIORS
from .base import Prior, enlarge, rescale, shrink
from .grabcut import check_refine, refine_by_grabcut
from .superpixels import Superpixels, find_superpixels


@PRIORS.register_module()
class RBDPrior(Prior):
    """What differs in colour from regions that are tied to the border of the image.

    Fits pictures of an object in front of a ground. In scenes without one, such as streets, it marks the sky or a tree:
    use :class:`mmseg_unsup.RegionPrior` there.

    Args:
        max_side: pixels of the longer side at which it works; larger images are reduced first.
        n_superpixels: about how many; of several numbers, the maps are averaged.
        compactness: of the superpixels, see :func:`find_superpixels`.
        geodesic_sigma, boundary_sigma, position_sigma, background_weight, smoothness_sigma, smoothness_floor: the
            paper's sigma_clr, sigma_bndCon, sigma_spa, lambda, sigma_clr of the smoothness term, and mu.
        refine: 'grabcut' averages the map with a GrabCut that starts from it; None does not.
        refine_side: pixels of the longer side at which GrabCut works.
        **kwargs: of :class:`Prior`.

    Source: Zhu et al., Saliency Optimization from Robust Background Detection, CVPR 2014, sections 3 to 5. There
    n_superpixels=200, geodesic_sigma=7, position_sigma=0.4, smoothness_floor=0.1 and no GrabCut; the defaults here were
    chosen on 150 images of ECSSD.
    """

    def __init__(self,
                 max_side: int = 300,
                 n_superpixels: Union[int, Sequence[int]] = (250, 400),
                 compactness: float = 30.,
                 geodesic_sigma: float = 5.,
                 boundary_sigma: float = 1.,
                 position_sigma: float = 0.25,
                 background_weight: float = 5.,
                 smoothness_sigma: float = 10.,
                 smoothness_floor: float = 0.3,
                 refine: Optional[str] = 'grabcut',
                 refine_side: int = 200,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        self.max_side, self.n_superpixels, self.compactness = max_side, n_superpixels, compactness
        self.geodesic_sigma, self.boundary_sigma, self.position_sigma = geodesic_sigma, boundary_sigma, position_sigma
        self.background_weight = background_weight
        self.smoothness_sigma, self.smoothness_floor = smoothness_sigma, smoothness_floor
        self.refine, self.refine_side = refine, refine_side
        self._counts = [n_superpixels] if isinstance(n_superpixels, int) else list(n_superpixels)
        check_refine(self)
        if not self._counts or min(self._counts) < 2:
            raise ValueError(f'n_superpixels={n_superpixels!r} of RBDPrior: give one or several numbers from 2 on')
        positive = ('max_side', 'compactness', 'geodesic_sigma', 'boundary_sigma', 'position_sigma',
                    'background_weight', 'smoothness_sigma', 'smoothness_floor')
        for name in positive:
            if getattr(self, name) <= 0:
                raise ValueError(f'{name}={getattr(self, name)!r} of RBDPrior must be positive')

    def saliency(self, image: np.ndarray, stem: Optional[str] = None) -> np.ndarray:
        """The contrast of the superpixels, as :meth:`Prior.saliency`."""
        small = shrink(image, self.max_side)
        lab = rgb2lab(small)
        maps = [self._saliency_of(find_superpixels(lab, n, self.compactness)) for n in self._counts]
        saliency = np.mean(maps, 0)
        return enlarge(refine_by_grabcut(small, saliency, self.refine_side) if self.refine else saliency, image.shape)

    def _saliency_of(self, superpixels: Superpixels) -> np.ndarray:
        """(h, w) in 0..1 of one set of superpixels."""
        colors, positions = superpixels.colors, superpixels.positions
        differences = cdist(colors, colors)
        background = background_probability(superpixels, differences, self.geodesic_sigma, self.boundary_sigma)
        near = np.exp(-cdist(positions, positions, 'sqeuclidean') / (2 * self.position_sigma**2))
        foreground = rescale((differences * near) @ background)
        weights = np.exp(-differences**2 / (2 * self.smoothness_sigma**2)) + self.smoothness_floor
        weights *= _second_neighbors(superpixels)
        values = optimize(self.background_weight * background, foreground, weights)
        return rescale(values)[superpixels.ids]


def background_probability(superpixels: Superpixels, differences: np.ndarray, geodesic_sigma: float,
                           boundary_sigma: float) -> np.ndarray:
    """(S,) in 0..1 from the boundary connectivity of each superpixel.

    Args:
        differences: (S, S) of mean colours.

    Source: sections 3.1 and 3.2; equations 2 to 6.
    """
    graph = superpixels.neighbors | np.outer(superpixels.on_border, superpixels.on_border)  # all of the border meets
    smallest = np.where(superpixels.neighbors, differences, np.inf).min(1)
    smallest = smallest[np.isfinite(smallest)]
    # differences within a region add up along a path unless small ones count for nothing
    clip = smallest.mean() if len(smallest) else 0.
    geodesic, nodes = _shortest_paths(np.where(graph, np.maximum(differences - clip, 0), np.inf))
    shares = np.exp(-geodesic**2 / (2 * geodesic_sigma**2))
    border_length = shares @ np.bincount(nodes, superpixels.on_border)
    connectivity = (border_length / np.sqrt(shares @ np.bincount(nodes)))[nodes]
    return 1 - np.exp(-connectivity**2 / (2 * boundary_sigma**2))


def _shortest_paths(steps: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Lengths of the shortest paths, where all that steps of no cost join is one node: about a third of the superpixels
    of a photograph, and Floyd and Warshall's time goes with the cube.

    Args:
        steps: (S, S) symmetric, from 0 on; infinite where there is no step.

    Returns:
        (N, N) lengths between nodes, and the (S,) node of each superpixel.
    """
    n_nodes, nodes = connected_components(csr_matrix(steps == 0), directed=False)
    order = np.argsort(nodes, kind='stable')
    firsts = np.searchsorted(nodes[order], np.arange(n_nodes))
    between = np.minimum.reduceat(np.minimum.reduceat(steps[order], firsts, 0)[:, order], firsts, 1)
    np.fill_diagonal(between, 0)
    return floyd_warshall(csr_matrix(between), directed=False), nodes  # which drops tiny steps from a dense matrix


def optimize(background: np.ndarray, foreground: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(S,) that minimises ``sum b s^2 + sum f (s - 1)^2 + sum over pairs w (s_i - s_j)^2``.

    Args:
        background, foreground: (S,) weights b and f.
        weights: (S, S) symmetric w, zero on the diagonal.

    Source: section 5, equation 9.
    """
    laplacian = np.diag(weights.sum(1)) - weights
    # one colour everywhere: nothing pulls a value up or down
    return np.linalg.solve(laplacian + np.diag(background + foreground + 1e-9), foreground)


def _second_neighbors(superpixels: Superpixels) -> np.ndarray:
    """(S, S) bool: neighbours, their neighbours, and all pairs on the border."""
    neighbors, border = csr_matrix(superpixels.neighbors), superpixels.on_border
    pairs = (neighbors + neighbors @ neighbors).toarray() | np.outer(border, border)
    np.fill_diagonal(pairs, False)
    return pairs
