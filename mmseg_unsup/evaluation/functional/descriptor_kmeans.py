"""Clusters of object descriptors."""
from typing import Tuple

import numpy as np


def fit_descriptor_kmeans(descriptors: np.ndarray, n_clusters: int, seed: int,
                          whiten: bool = True, n_components: int = 32) -> Tuple[np.ndarray, np.ndarray]:
    """k-means on (S, D) descriptors, folded into a linear classifier.

    Args:
        whiten: cluster the first ``n_components`` principal components, scaled to unit variance. Embeddings have 32
            channels, so none are left out; wider features are reduced to as many.

    Returns:
        weight (K, D), bias (K,); K is the number of descriptors where that is less than ``n_clusters``. The cluster of
        a descriptor d is ``argmax(weight @ d + bias)``, its nearest centre after the whitening.

    Source: the K-means protocol of MaskContrast, arXiv 2102.06191: whitening, mini-batches of 1000, three starts.

    Raises:
        ValueError: there are no descriptors, or one of them is not finite.
    """
    from sklearn.cluster import MiniBatchKMeans  # a second, for which all other methods need not wait
    from sklearn.decomposition import PCA
    if not len(descriptors):
        raise ValueError('there are no objects to cluster')
    if not np.isfinite(descriptors).all():
        raise ValueError('object descriptors are not finite: check the checkpoint')
    rows = descriptors.astype(np.float64)
    mean, axes = rows.mean(0), np.eye(rows.shape[1])
    if whiten and (rows != rows[0]).any():
        pca = PCA(min(n_components, *rows.shape), whiten=True, svd_solver='full').fit(rows)
        kept = pca.explained_variance_ > 1e-12 * pca.explained_variance_[0]
        axes = (pca.components_[kept] / np.sqrt(pca.explained_variance_[kept, None])).T
    # random_state decides everything: threads do not change the result
    n_clusters = min(n_clusters, len(rows))
    kmeans = MiniBatchKMeans(n_clusters, batch_size=1000, n_init=3, random_state=seed).fit((rows - mean) @ axes)
    centers = kmeans.cluster_centers_
    weight = centers @ axes.T
    return weight, -weight @ mean - 0.5 * np.square(centers).sum(1)
