import itertools

import numpy as np
import pytest

from mmseg_unsup.evaluation.functional import (confusion_matrix, group_scores, match_clusters, match_named,
                                               matched_confusion, scores_from_confusion)
from mmseg_unsup.evaluation.functional.matching import UNMATCHED
from mmseg_unsup.evaluation.metrics.released_groups_iou import released_group_scores


def brute_force(confusion, match_on):
    """The best total over all one-to-one assignments, by trying every permutation."""
    c, k = confusion.shape
    gain = confusion.astype(float)
    if match_on == 'iou':
        gain = np.array([[confusion[i, j] / max(confusion[i].sum() + confusion[:, j].sum() - confusion[i, j], 1)
                          for j in range(k)] for i in range(c)])
    if c <= k:
        return max(sum(gain[i, j] for i, j in enumerate(p)) for p in itertools.permutations(range(k), c)), gain
    return max(sum(gain[i, j] for j, i in enumerate(p)) for p in itertools.permutations(range(c), k)), gain


@pytest.mark.parametrize('match_on', ['count', 'iou'])
@pytest.mark.parametrize('shape', [(4, 4), (6, 6), (3, 5), (5, 3), (2, 6)])
def test_hungarian_equals_all_permutations(shape, match_on):
    rng = np.random.default_rng(0)
    for _ in range(5):
        confusion = rng.integers(0, 50, shape)
        classes = match_clusters(confusion, 'hungarian', match_on)
        best, gain = brute_force(confusion, match_on)
        assert sum(gain[c, k] for k, c in enumerate(classes) if c != UNMATCHED) == pytest.approx(best)
        used = classes[classes != UNMATCHED]
        assert len(set(used)) == len(used) == min(shape)


def test_majority_by_hand():
    confusion = np.array([[5, 1, 0, 0], [2, 6, 9, 0]])
    assert match_clusters(confusion, 'majority').tolist() == [0, 1, 1, UNMATCHED]


def test_scores_by_hand():
    """3 classes; class 2 has no label and no prediction, one cluster of four is left over."""
    confusion = np.array([[8, 2, 0, 1], [0, 6, 3, 0], [0, 0, 0, 0]])
    classes = np.array([0, 1, UNMATCHED, UNMATCHED])
    scores = scores_from_confusion(matched_confusion(confusion, classes))
    assert scores['aAcc'] == pytest.approx(100 * 14 / 20)
    np.testing.assert_allclose(scores['IoU'], [100 * 8 / 11, 100 * 6 / 11, np.nan])
    np.testing.assert_allclose(scores['Acc'], [100 * 8 / 11, 100 * 6 / 9, np.nan])
    assert scores['mIoU'] == pytest.approx(100 * (8 / 11 + 6 / 11) / 2)
    assert scores['mAcc'] == pytest.approx(100 * (8 / 11 + 6 / 9) / 2)


def test_naming_of_clusters_does_not_matter():
    rng = np.random.default_rng(1)
    confusion = rng.integers(0, 100, (5, 7))
    confusion[2], confusion[:, 4] = 0, 0  # a class that never occurs, and a cluster that never does
    reference = scores_from_confusion(matched_confusion(confusion, match_clusters(confusion)))
    for _ in range(5):
        shuffled = confusion[:, rng.permutation(7)]
        scores = scores_from_confusion(matched_confusion(shuffled, match_clusters(shuffled)))
        np.testing.assert_allclose(scores['IoU'], reference['IoU'])


def test_a_perfect_prediction_under_other_names():
    labels = np.random.default_rng(0).integers(0, 4, (20, 20))
    renamed = np.array([2, 0, 3, 1])[labels]
    confusion = confusion_matrix(labels, renamed, 4, 4)
    scores = scores_from_confusion(matched_confusion(confusion, match_clusters(confusion)))
    assert scores['mIoU'] == scores['aAcc'] == 100


def test_confusion_equals_a_loop():
    rng = np.random.default_rng(0)
    labels, clusters = rng.integers(0, 4, (9, 11)), rng.integers(0, 3, (9, 11))
    labels[labels == 3] = 255
    expected = np.zeros((3, 3), int)
    for c, k in zip(labels.ravel(), clusters.ravel()):
        if c != 255:
            expected[c, k] += 1
    np.testing.assert_array_equal(confusion_matrix(labels, clusters, 3, 3), expected)
    assert confusion_matrix(np.full((2, 2), 255), np.zeros((2, 2)), 3, 3).sum() == 0


def test_values_out_of_range():
    with pytest.raises(ValueError, match=r'label 7 is out of range: expected 0\.\.2 or 255'):
        confusion_matrix(np.array([7]), np.array([0]), 3, 3)
    with pytest.raises(ValueError, match='cluster id 3'):
        confusion_matrix(np.array([0]), np.array([3]), 3, 3)


def test_groups_by_hand():
    """Classes 0, 1 are one group; row: class, column: predicted class, last column unmatched."""
    matched = np.array([[6, 1, 2, 0, 1], [0, 5, 0, 3, 0], [1, 0, 7, 0, 0], [0, 2, 0, 9, 1]])
    iou = [6 / 11, 5 / 11, 7 / 10, 9 / 15]
    assert group_scores(matched, [0, 1], 'class_mean') == pytest.approx(
        dict(aAcc=100 * 11 / 18, mIoU=100 * (iou[0] + iou[1]) / 2))
    assert group_scores(matched, [0, 1], 'gt_only') == pytest.approx(
        dict(aAcc=100 * 11 / 18, mIoU=100 * (6 / 10 + 5 / 9) / 2))
    assert group_scores(matched, [0, 1], 'submatrix') == pytest.approx(
        dict(aAcc=100 * 11 / 12, mIoU=100 * (6 / 7 + 5 / 6) / 2))


def test_released_groups_cut_the_wrong_rows():
    """Clusters 0, 1 were matched to classes 2, 0: the released code scores those as the group (0, 1)."""
    confusion = np.array([[1, 8, 0], [0, 2, 9], [7, 1, 0]])
    classes = match_clusters(confusion)
    assert classes.tolist() == [2, 0, 1]
    part = np.array([[7, 1], [1, 8]])
    scores = released_group_scores(confusion, classes, [0, 1])
    assert scores == pytest.approx(dict(aAcc=100 * 15 / part.sum(), mIoU=100 * (7 / 9 + 8 / 10) / 2))
    with pytest.raises(ValueError, match='4 clusters for 3 classes'):
        released_group_scores(np.ones((3, 4)), np.array([0, 1, 2, UNMATCHED]), [0, 1])


def test_unknown_options():
    with pytest.raises(ValueError, match="match='best'"):
        match_clusters(np.ones((2, 2)), 'best')
    with pytest.raises(ValueError, match="match_on='acc'"):
        match_clusters(np.ones((2, 2)), match_on='acc')
    with pytest.raises(ValueError, match="definition='mean'"):
        group_scores(np.ones((2, 3), int), [0], 'mean')


CLASSES = ['sky', 'road', 'tree', 'car']
NAMED = np.array([[9, 1, 0, 4], [0, 8, 9, 2], [1, 7, 0, 0], [5, 0, 3, 3]])


@pytest.mark.parametrize('names, match, expected', [
    (['car', 'tree', 'road', 'sky'], 'hungarian', [3, 2, 1, 0]),  # as named, though most pixels say otherwise
    (['car', 'grass', 'cluster 2', 'sky'], 'hungarian', [3, 2, 1, 0]),  # grass and cluster 2 share road and tree: 7 + 9
    (['car', 'grass', 'cluster 2', 'sky'], 'majority', [3, 1, 1, 0]),  # many to one
    (['a', 'b', 'c', 'd'], 'hungarian', [0, 2, 1, 3]),  # nothing named: plain matching
])
def test_names_of_classes_come_before_matching(names, match, expected):
    assert match_named(NAMED, names, CLASSES, match).tolist() == expected


def test_pixels_of_named_clusters_count_in_the_iou_of_others():
    confusion = np.array([[0, 9, 8], [90, 0, 40], [0, 3, 0]])
    names, classes = ['grass', 'a', 'b'], ['road', 'grass', 'car']
    # IoUs of road and car with a and b; by grass, most of what b is, road goes to a
    ious = [[9 / (17 + 12 - 9), 8 / (17 + 48 - 8)], [3 / (3 + 12 - 3), 0]]
    assert ious[0][0] + ious[1][1] > ious[0][1] + ious[1][0] and 9 + 0 < 8 + 3
    assert match_named(confusion, names, classes, match_on='iou').tolist() == [1, 0, 2]
    assert match_named(confusion, names, classes).tolist() == [1, 2, 0]


def test_named_clusters_leave_no_class_to_match():
    names = ['sky', 'road', 'tree', 'car', 'extra']
    confusion = np.hstack([NAMED, NAMED[:, :1]])
    assert match_named(confusion, names, CLASSES).tolist() == [0, 1, 2, 3, UNMATCHED]
    assert match_named(confusion[:, 4:], ['extra'], CLASSES).tolist() == [0]
