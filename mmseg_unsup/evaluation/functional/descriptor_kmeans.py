"""Clusters of object descriptors."""
from typing import Tuple

import numpy as np
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA


def fit_descriptor_kmeans(descriptors: np.ndarray, n_clusters: int, seed: int,
                          whiten: bool = True) -> Tuple[np.ndarray, np.ndarray]:
    """k-means on (S, D) descriptors, folded into a linear classifier.

    Args:
        whiten: cluster the principal components, as many as there are channels, scaled to unit variance.

    Returns:
        weight (K, D), bias (K,): the cluster of a descriptor d is ``argmax(weight @ d + bias)``, its nearest centre
        after the whitening.

    Source: the K-means protocol of MaskContrast, arXiv 2102.06191: whitening, mini-batches of 1000, three starts.

    Raises:
        ValueError: fewer descriptors than clusters, or one of them is not finite.
    """
    if len(descriptors) < n_clusters:
        raise ValueError(f'{len(descriptors)} objects cannot form {n_clusters} clusters: give more images, a lower '
                         'saliency threshold, or fewer clusters')
    if not np.isfinite(descriptors).all():
        raise ValueError('object descriptors are not finite: check the checkpoint')
    rows = descriptors.astype(np.float64)
    mean, axes = rows.mean(0), np.eye(rows.shape[1])
    if whiten:
        pca = PCA(min(rows.shape), whiten=True, svd_solver='full').fit(rows)
        kept = pca.explained_variance_ > 1e-12 * pca.explained_variance_[0]
        axes = (pca.components_[kept] / np.sqrt(pca.explained_variance_[kept, None])).T
    # random_state decides everything: threads do not change the result
    kmeans = MiniBatchKMeans(n_clusters, batch_size=1000, n_init=3, random_state=seed).fit((rows - mean) @ axes)
    centers = kmeans.cluster_centers_
    weight = centers @ axes.T
    return weight, -weight @ mean - 0.5 * np.square(centers).sum(1)
