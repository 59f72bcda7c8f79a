"""What a set of images shows of each cluster: its size, typical places and images, its neighbours; pure numpy.

Letters: C classes, D channels, K clusters, S cells or objects of an image.
"""
from typing import List, NamedTuple, Optional, Set, Tuple

import numpy as np

from .matching import confusion_matrix


class Place(NamedTuple):
    """A cell or an object that stands for its cluster."""
    image: int
    box: Tuple[float, float, float, float]  # x1, y1, x2, y2 in fractions of the image
    similarity: float


class TypicalImage(NamedTuple):
    """An image with much of a cluster."""
    image: int
    share: float  # of the image's pixels


class ClusterSurvey:
    """Looks at images one by one and keeps a bounded number of examples of each cluster.

    The *direction* of a cluster is its centre, or, where clusters have none among the features, the mean of the
    features that were assigned to it. Similarities are cosines. Directions that are means are known at the end only:
    until then candidates compete by the mean so far, and four times as many as asked for are kept.

    Args:
        centers: (K, D), or None. A row of zeros is a cluster without a direction.
        n_classes: C of the labels; None without labels.
        n_places: places per cluster, of as many images.
        n_images: images per cluster, those with the largest share of it.

    Attributes:
        pixels: (K,) int64 number of pixels.
        confusion: (C, K) int64, see :func:`confusion_matrix`; None without labels.
    """

    def __init__(self,
                 n_clusters: int,
                 centers: Optional[np.ndarray] = None,
                 n_classes: Optional[int] = None,
                 n_places: int = 6,
                 n_images: int = 4,
                 ignore_index: int = 255) -> None:
        self.n_clusters, self.n_classes = n_clusters, n_classes
        self.n_places, self.n_images, self.ignore_index = n_places, n_images, ignore_index
        self.pixels = np.zeros(n_clusters, np.int64)
        self.confusion = None if n_classes is None else np.zeros((n_classes, n_clusters), np.int64)
        self._centers = None if centers is None else _unit(centers.astype(np.float64))
        self._sums: Optional[np.ndarray] = None  # (K, D) of the features, where there are no centres
        self._places: List[list] = [[] for _ in range(n_clusters)]  # (image, box, feature)
        self._images: List[List[TypicalImage]] = [[] for _ in range(n_clusters)]

    def add(self,
            image: int,
            clusters: np.ndarray,
            feats: np.ndarray,
            members: np.ndarray,
            boxes: np.ndarray,
            labels: Optional[np.ndarray] = None) -> None:
        """Look at an image.

        Args:
            image: its number, from 0 on; each once.
            clusters: (H, W) ids.
            feats: (S, D) of unit length.
            members: (S,) cluster of each.
            boxes: (S, 4) where each is.
            labels: (H, W), where there are classes.
        """
        counts = np.bincount(clusters.ravel(), minlength=self.n_clusters)
        self.pixels += counts
        if self.confusion is not None:
            self.confusion += confusion_matrix(labels, clusters, self.n_classes, self.n_clusters, self.ignore_index)
        for k in np.flatnonzero(counts):
            best = sorted([*self._images[k], TypicalImage(image, counts[k] / clusters.size)], key=lambda i: -i.share)
            self._images[k] = best[:self.n_images]
        if self._sums is None and self._centers is None:
            self._sums = np.zeros((self.n_clusters, feats.shape[1]))
        for k in np.unique(members):
            own = members == k
            if self._sums is not None:
                self._sums[k] += feats[own].sum(0, dtype=np.float64)
            self._offer(k, image, feats[own], boxes[own])

    @property
    def shares(self) -> np.ndarray:
        """The (K,) shares of all pixels."""
        return self.pixels / max(self.pixels.sum(), 1)

    @property
    def directions(self) -> np.ndarray:
        """The (K, D) mean directions, of unit length; zero for a cluster without any."""
        if self._centers is not None:
            return self._centers
        return np.zeros((self.n_clusters, 1)) if self._sums is None else _unit(self._sums)

    def places(self, k: int) -> List[Place]:
        """The places of a cluster most similar to its direction, at most one an image, the best first."""
        return [Place(image, box, similarity) for similarity, image, box, _ in self._ranked(k)[:self.n_places]]

    def images(self, k: int) -> List[TypicalImage]:
        """The images with the largest share of a cluster, the largest first."""
        return self._images[k]

    def held_images(self) -> Set[int]:
        """Numbers of the images that :meth:`images` may still give for some cluster."""
        return {typical.image for of_cluster in self._images for typical in of_cluster}

    def similarities(self) -> np.ndarray:
        """The (K, K) cosine similarities of the directions of clusters; NaN where one has none."""
        directions = self.directions
        cosines = np.clip(directions @ directions.T, -1, 1)
        missing = ~directions.any(1)
        cosines[missing], cosines[:, missing] = np.nan, np.nan
        return cosines

    def _offer(self, k: int, image: int, feats: np.ndarray, boxes: np.ndarray) -> None:
        best = int((feats @ self._direction(k)).argmax())
        pool = self._places[k]
        # copies: a view would keep the rows of all cells
        pool.append((image, tuple(boxes[best].tolist()), feats[best].astype(np.float32)))
        if len(pool) > 8 * self.n_places:
            self._places[k] = [entry[1:] for entry in self._ranked(k)[:4 * self.n_places]]

    def _ranked(self, k: int) -> list:
        """Places (similarity, image, box, feature), the most similar first, then by image."""
        direction = self._direction(k)
        ranked = [(float(entry[2] @ direction), *entry) for entry in self._places[k]]
        return sorted(ranked, key=lambda entry: (-entry[0], entry[1]))

    def _direction(self, k: int) -> np.ndarray:
        return _unit(self._sums[k]) if self._centers is None else self._centers[k]


def nearest_clusters(similarities: np.ndarray, k: int, n: int) -> List[Tuple[int, float]]:
    """The ``n`` clusters most similar to k, and how similar, from (K, K) similarities; NaN never is."""
    row = similarities[k].copy()
    row[k] = np.nan
    order = np.argsort(-row, kind='stable')
    return [(int(other), float(row[other])) for other in order[:n] if np.isfinite(row[other])]


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), np.finfo(np.float64).tiny)
