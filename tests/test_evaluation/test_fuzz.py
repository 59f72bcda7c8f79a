"""The metric on whatever labels and clusters there may be: scores that are some, or a sentence that says why not."""
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg_unsup.evaluation import ClusterIoUMetric, ReleasedGroupsIoUMetric
from mmseg_unsup.evaluation.functional import confusion_matrix, match_clusters, matched_confusion, scores_from_confusion
from mmseg_unsup.evaluation.functional.matching import CRITERIA, GROUP_DEFINITIONS, MATCHES, UNMATCHED

VOID, RELEASED = 255, 'released'


@st.composite
def images(draw, max_classes: int = 5, max_clusters: int = 7):
    """Number of classes, of clusters, and per image labels and clusters (H, W); some labels are void."""
    n_classes, n_clusters = draw(st.integers(1, max_classes)), draw(st.integers(1, max_clusters))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    pairs = []
    for _ in range(draw(st.integers(1, 3))):
        shape = draw(st.integers(1, 6)), draw(st.integers(1, 6))
        labels = rng.integers(0, n_classes, shape).astype(np.uint8)
        labels[rng.random(shape) < draw(st.sampled_from([0., 0.3, 1.]))] = VOID
        pairs.append((labels, rng.integers(0, n_clusters, shape)))
    return n_classes, n_clusters, pairs


def in_percent(value: float) -> bool:
    return np.isnan(value) or -1e-9 <= value <= 100 + 1e-9


@given(images(), st.sampled_from(MATCHES), st.sampled_from(CRITERIA))
def test_counts_matching_and_scores(drawn, match, match_on):
    n_classes, n_clusters, pairs = drawn
    confusion = sum(confusion_matrix(*pair, n_classes, n_clusters) for pair in pairs)
    seen = Counter((int(label), int(cluster)) for labels, clusters in pairs
                   for label, cluster in zip(labels.ravel(), clusters.ravel()) if label != VOID)
    assert confusion.sum() == sum(seen.values())
    assert {(c, k): n for (c, k), n in np.ndenumerate(confusion) if n} == seen
    if match == 'identity' and n_clusters > n_classes:
        with pytest.raises(ValueError, match="match='identity' takes predictions as classes"):
            match_clusters(confusion, match, match_on)
        return
    classes = match_clusters(confusion, match, match_on)
    assert classes.shape == (n_clusters, ) and ((classes == UNMATCHED) | (classes >= 0) & (classes < n_classes)).all()
    matched = classes[classes != UNMATCHED]
    if match == 'hungarian':
        assert len(set(matched)) == len(matched) == min(n_clusters, np.count_nonzero(confusion.sum(1)))
    by_class = matched_confusion(confusion, classes)
    assert by_class.shape == (n_classes, n_classes + 1) and by_class.sum() == confusion.sum()
    np.testing.assert_array_equal(by_class.sum(1), confusion.sum(1))
    scores = scores_from_confusion(by_class)
    assert all(in_percent(value) for name in ('aAcc', 'mIoU', 'mAcc') for value in [scores[name]])
    assert all(in_percent(value) for name in ('IoU', 'Acc') for value in scores[name])
    assert np.isnan(scores['aAcc']) == (confusion.sum() == 0)


@given(images(), st.sampled_from(MATCHES), st.sampled_from(CRITERIA), st.sampled_from([*GROUP_DEFINITIONS, RELEASED]),
       st.data())
def test_the_metric(drawn, match, match_on, definition, data):
    """One image at a time or all at once; every refusal is one that the docstring names."""
    n_classes, n_clusters, pairs = drawn
    groups = dict(some=sorted(data.draw(st.sets(st.integers(0, n_classes - 1), min_size=1))))
    scored = []
    for together in (True, False):
        cls, options = (ReleasedGroupsIoUMetric, {}) if definition == RELEASED else \
            (ClusterIoUMetric, dict(group_definition=definition))
        metric = cls(match=match, match_on=match_on, show_table=True, **options)
        metric.dataset_meta = dict(classes=[str(c) for c in range(n_classes)], groups=groups)
        samples = [dict(gt_sem_seg=dict(data=torch.from_numpy(labels)[None]), img_path='x.jpg',
                        pred_sem_seg=dict(data=torch.from_numpy(clusters)[None])) for labels, clusters in pairs]
        for batch in [samples] if together else [[sample] for sample in samples]:
            metric.process({}, batch)
        try:
            scored.append(metric.evaluate(len(samples)))
        except ValueError as error:
            n_labelled = sum((labels != VOID).sum() for labels, _ in pairs)
            n_found = 1 + max(clusters.max() for _, clusters in pairs)
            message = str(error)
            assert ('has a labelled pixel' in message and n_labelled == 0
                    or "match='identity' takes" in message and match == 'identity' and n_found > n_classes
                    or 'groups need as many clusters as classes' in message and definition == RELEASED), message
            return
    assert all(in_percent(value) for name, value in scored[0].items() if name != 'ARI')
    assert -100 <= scored[0]['ARI'] <= 100
    np.testing.assert_equal(scored[0], scored[1])


@given(images(), st.integers(0, 2**20), st.sampled_from(['label', 'cluster id']), st.sampled_from([-1, 9, 254, 1000]))
@settings(max_examples=50)
def test_values_out_of_range(drawn, place, kind, value):
    n_classes, n_clusters, pairs = drawn
    labels, clusters = (array.astype(np.int64) for array in pairs[0])
    wrong = labels if kind == 'label' else clusters
    labels.flat[place % labels.size] = 0
    wrong.flat[place % labels.size] = value
    with pytest.raises(ValueError, match=f'{kind} {value} is out of range: expected 0..'):
        confusion_matrix(labels, clusters, n_classes, n_clusters)
