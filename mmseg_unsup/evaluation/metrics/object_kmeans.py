"""Scores of clusters of objects: the K-means protocol of MaskContrast."""
from typing import List, Optional, Sequence, Tuple

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from ...registry import METRICS
from ...utils.checks import check_count
from ..functional import confusion_matrix, match_clusters, matched_confusion, scores_from_confusion
from ..functional.descriptor_kmeans import fit_descriptor_kmeans
from .repeated_iou import mean_scores


# What an image contributes: (S, D) descriptors; (C, 1 + S) pixels of each class outside all objects and in each.
ImageObjects = Tuple[np.ndarray, np.ndarray]


@METRICS.register_module()
class ObjectKMeansMetric(BaseMetric):
    """Clusters the objects of the evaluated images by their descriptors, matches clusters to classes, scores the maps.

    A pixel of an object has the cluster of the object, one outside all objects a cluster of its own, which is matched
    like any other. ``aAcc``, ``mIoU`` and ``mAcc`` are means over ``repeats`` k-means, with ``..._std`` (n - 1). The
    network runs once; an image is kept as its descriptors and a count of its pixels.

    Reads ``object_descriptors`` (S, D) and ``object_map`` (H, W), 0 outside and s in object s, of every sample, as
    :class:`mmseg_unsup.MaskContrast` predicts them.

    Args:
        n_clusters: K of the objects; None for one fewer than there are classes.
        repeats: k-means with the seeds ``seed``, ``seed + 1``, ...
        whiten: see :func:`fit_descriptor_kmeans`.
        match: ``'hungarian'``; ``'majority'`` for more clusters than classes.
        match_on: see :func:`mmseg_unsup.evaluation.functional.match_clusters`.
        ignore_index: label that does not count.

    Source: arXiv 2102.06191 (VOC: K = 20, five seeds from 1234 on, matched on IoU; fitted and scored on val).

    Raises:
        KeyError: a sample has no labels or no objects' descriptors.
        ValueError: bad option; no labelled pixel.
    """

    def __init__(self,
                 n_clusters: Optional[int] = None,
                 repeats: int = 5,
                 seed: int = 1234,
                 whiten: bool = True,
                 match: str = 'hungarian',
                 match_on: str = 'iou',
                 ignore_index: int = 255,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device, prefix)
        check_count('repeats', repeats)
        if n_clusters is not None:
            check_count('n_clusters', n_clusters)
        if match not in ('hungarian', 'majority'):
            raise ValueError(f"match={match!r} is not one of ('hungarian', 'majority'): objects are clusters")
        match_clusters(np.zeros((1, 1)), match, match_on)  # a wrong match_on must fail now
        self.n_clusters, self.repeats, self.seed, self.whiten = n_clusters, repeats, seed, whiten
        self.match, self.match_on, self.ignore_index = match, match_on, ignore_index

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count pixels per class and object, per image."""
        for sample in data_samples:
            path = sample.get('img_path', '?')
            if 'gt_sem_seg' not in sample:
                raise KeyError(f'{path} has no labels: ObjectKMeansMetric needs LoadLabels in the test pipeline')
            if 'object_map' not in sample:
                raise KeyError(f'no objects were predicted for {path}: ObjectKMeansMetric scores '
                               'mmseg_unsup.MaskContrast')
            labels = sample['gt_sem_seg']['data'][0].cpu().numpy()
            objects = sample['object_map']['data'][0].cpu().numpy()
            descriptors = sample['object_descriptors'].cpu().numpy()
            try:
                counts = confusion_matrix(labels, objects, len(self.dataset_meta['classes']), 1 + len(descriptors),
                                          self.ignore_index)
            except ValueError as error:
                raise ValueError(f'{path}: {error}') from None
            self.results.append((descriptors, counts))

    def compute_metrics(self, results: List[ImageObjects]) -> dict:
        """Fit, match and score ``repeats`` times."""
        descriptors = np.concatenate([of_image for of_image, _ in results])
        n_classes = len(self.dataset_meta['classes'])
        n_clusters = self.n_clusters or n_classes - 1
        if not sum(counts.sum() for _, counts in results):
            raise ValueError(f'none of the {len(results)} images has a labelled pixel: check the label folder and '
                             f'ignore_index={self.ignore_index}')
        if len(descriptors) < n_clusters:  # a run of hours must not end here
            MMLogger.get_current_instance().warning(
                f'{len(descriptors)} objects cannot form {n_clusters} clusters, each is one: lower '
                'model.decode_head.saliency_threshold, or train longer')
        n_empty = sum(not len(of_image) for of_image, _ in results)
        MMLogger.get_current_instance().info(f'{len(descriptors)} objects in {len(results)} images, {n_empty} images '
                                             f'without one; {n_clusters} clusters and the rest, {self.match} matching '
                                             f'on {self.match_on} to {n_classes} classes')
        scores = []
        for repeat in range(self.repeats):
            clusters = self._cluster(descriptors, n_clusters, self.seed + repeat)
            scores.append(self._score(_confusion(results, clusters, n_classes, 1 + n_clusters)))
        return mean_scores(scores) if self.repeats > 1 else scores[0]

    def _cluster(self, descriptors: np.ndarray, n_clusters: int, seed: int) -> np.ndarray:
        """Clusters (S,) of the descriptors (S, D), from 1 on."""
        if not len(descriptors):
            return np.zeros(0, np.int64)
        weight, bias = fit_descriptor_kmeans(descriptors, n_clusters, seed, self.whiten)
        return 1 + (descriptors @ weight.T + bias).argmax(1)

    def _score(self, confusion: np.ndarray) -> dict:
        matched = matched_confusion(confusion, match_clusters(confusion, self.match, self.match_on))
        scores = scores_from_confusion(matched)
        return {name: round(scores[name], 4) for name in ('aAcc', 'mIoU', 'mAcc')}


def _confusion(results: Sequence[ImageObjects], clusters: np.ndarray, n_classes: int, n_clusters: int) -> np.ndarray:
    """Pixels of each class in each cluster, (C, K); cluster 0 is outside all objects."""
    confusion, start = np.zeros((n_classes, n_clusters), np.int64), 0
    for descriptors, counts in results:
        end = start + len(descriptors)
        np.add.at(confusion.T, np.concatenate([[0], clusters[start:end]]), counts.T)
        start = end
    return confusion
