"""Clusters of objects, against scikit-learn's own prediction and scores counted pixel by pixel."""
import itertools

import numpy as np
import pytest
import torch
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA

from mmseg_unsup.evaluation import ObjectKMeansMetric
from mmseg_unsup.evaluation.functional import fit_descriptor_kmeans

N_CLASSES, N_CHANNELS, SIDE = 4, 6, 12


def scene(n_images=30, seed=0):
    """Per image: labels, a map of 0 to 2 objects, and a descriptor per object near a direction of its class."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(7).normal(size=(N_CLASSES, N_CHANNELS))
    images = []
    for i in range(n_images):
        labels = np.zeros((SIDE, SIDE), np.int64)
        objects, descriptors = np.zeros((SIDE, SIDE), np.int64), []
        for s, side in enumerate((slice(0, 5), slice(6, 11))[:i % 3]):
            c = rng.integers(1, N_CLASSES)
            labels[side, 2:10] = c
            objects[side, 1:9] = s + 1
            descriptors.append(directions[c] + 0.2 * rng.normal(size=N_CHANNELS))
        labels[rng.random(labels.shape) < 0.1] = 255
        images.append((labels, objects, np.array(descriptors, np.float32).reshape(-1, N_CHANNELS)))
    return images


def samples(images):
    return [
        dict(gt_sem_seg=dict(data=torch.from_numpy(labels)[None]),
             object_map=dict(data=torch.from_numpy(objects)[None]), object_descriptors=torch.from_numpy(descriptors),
             img_path='x.jpg') for labels, objects, descriptors in images
    ]


def evaluate(images, **kwargs):
    metric = ObjectKMeansMetric(**kwargs)
    metric.dataset_meta = dict(classes=tuple('abcd'))
    for start in range(0, len(images), 4):
        metric.process({}, samples(images[start:start + 4]))
    return metric.evaluate(len(images))


def brute_force(images, n_clusters, seed, whiten):
    """mIoU of the best permutation, on painted maps."""
    rows = np.concatenate([descriptors for *_, descriptors in images]).astype(np.float64)
    points = PCA(N_CHANNELS, whiten=True, svd_solver='full').fit_transform(rows) if whiten else rows - rows.mean(0)
    clusters = list(MiniBatchKMeans(n_clusters, batch_size=1000, n_init=3, random_state=seed).fit_predict(points))
    maps = []
    for _, objects, descriptors in images:
        painted = np.zeros_like(objects)
        for s in range(len(descriptors)):
            painted[objects == s + 1] = 1 + clusters.pop(0)
        maps.append(painted)
    labels, maps = np.stack([image[0] for image in images]), np.stack(maps)
    valid = labels != 255
    ious = np.array([[((labels == c) & (maps == k)).sum() / max(1, (((labels == c) | (maps == k)) & valid).sum())
                      for k in range(1 + n_clusters)] for c in range(N_CLASSES)])
    return max(100 * np.mean([ious[c, k] for c, k in enumerate(order)])
               for order in itertools.permutations(range(1 + n_clusters), N_CLASSES))


@pytest.mark.parametrize('whiten', [True, False])
def test_equals_brute_force(whiten):
    images = scene()
    expected = [brute_force(images, 3, 1234 + r, whiten) for r in range(3)]
    scores = evaluate(images, repeats=3, whiten=whiten)
    assert scores['mIoU'] == pytest.approx(np.mean(expected), abs=1e-3)
    assert scores['mIoU_std'] == pytest.approx(np.std(expected, ddof=1), abs=1e-3)
    assert 40 < scores['mIoU'] < 100
    assert evaluate(images, repeats=1, whiten=whiten)['mIoU'] == pytest.approx(expected[0], abs=1e-3)


def test_more_clusters_than_classes():
    images = scene()
    one_to_one, majority = (evaluate(images, n_clusters=8, repeats=1, match=match)
                            for match in ('hungarian', 'majority'))
    assert majority['mIoU'] > one_to_one['mIoU'] + 5


@pytest.mark.parametrize('n_rows', [200, 5])
@pytest.mark.parametrize('whiten', [True, False])
def test_the_linear_classifier_is_the_nearest_centre(n_rows, whiten):
    rng = np.random.default_rng(1)
    rows = (rng.normal(size=(n_rows, 8)) @ rng.normal(size=(8, 8)) + 3).astype(np.float32)
    rows[:, 7] = rows[:, 6]  # a direction without variance
    weight, bias = fit_descriptor_kmeans(rows, 4, seed=5, whiten=whiten)
    points = rows.astype(np.float64) - rows.mean(0, dtype=np.float64)
    if whiten:
        _, values, axes = np.linalg.svd(points, full_matrices=False)
        kept = values > 1e-5 * values[0]
        points = points @ axes[kept].T / values[kept] * np.sqrt(n_rows - 1)
        assert kept.sum() == min(7, n_rows - 1) and np.allclose(points.std(0, ddof=1), 1)
    clusters = (rows @ weight.T + bias).argmax(1)
    centers = np.stack([points[clusters == k].mean(0) for k in np.unique(clusters)])
    assert len(centers) == 4 or n_rows == 5  # of few rows scikit-learn before 1.9 may leave clusters empty
    again = np.square(points[:, None] - centers).sum(2).argmin(1)  # Lloyd's fixed point, but for mini-batch drift
    assert (np.unique(clusters)[again] == clusters).mean() > (0.95 if n_rows == 200 else 0.99)


def test_few_objects_end_no_run():
    """Untrained networks may see none."""
    images = scene()
    each_its_own = evaluate(images, n_clusters=40, repeats=1)
    assert each_its_own == evaluate(images, n_clusters=30, repeats=1)
    nothing = [(labels, np.zeros_like(objects), descriptors[:0]) for labels, objects, descriptors in images]
    labels = np.stack([image[0] for image in images])
    assert evaluate(nothing, repeats=2)['aAcc'] == pytest.approx(100 * (labels == 0).sum() / (labels != 255).sum())
    weight, bias = fit_descriptor_kmeans(np.ones((1, 5)), 4, seed=0)
    assert weight.shape == (1, 5) and bias.shape == (1, )


def test_what_cannot_be_scored_is_said():
    images = scene()
    with pytest.raises(ValueError, match='none of the 30 images has a labelled pixel'):
        evaluate([(np.full_like(labels, 255), *rest) for labels, *rest in images])
    with pytest.raises(ValueError, match='object descriptors are not finite'):
        evaluate([(labels, objects, descriptors * np.nan) for labels, objects, descriptors in images])
    metric = ObjectKMeansMetric()
    metric.dataset_meta = dict(classes=tuple('abcd'))
    first, = samples(images[:1])
    with pytest.raises(KeyError, match='x.jpg has no labels'):
        metric.process({}, [{key: value for key, value in first.items() if key != 'gt_sem_seg'}])
    with pytest.raises(KeyError, match='no objects were predicted for x.jpg'):
        metric.process({}, [{key: value for key, value in first.items() if key != 'object_map'}])
    for wrong in (dict(repeats=0), dict(n_clusters=0), dict(match='identity'), dict(match_on='x')):
        with pytest.raises(ValueError):
            ObjectKMeansMetric(**wrong)
