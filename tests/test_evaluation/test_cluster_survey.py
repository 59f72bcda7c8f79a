"""What is kept of each cluster in one pass, against looking at everything at once."""
import numpy as np
import pytest

from mmseg_unsup.evaluation.functional.cluster_survey import ClusterSurvey, nearest_clusters

K, D, C = 5, 6, 3


def images(n_images: int = 60, n_cells: int = 30):
    """Per image clusters (H, W), feats, members, boxes and labels; cluster 4 never occurs."""
    rng = np.random.default_rng(0)
    axes = rng.standard_normal((K, D))
    for _ in range(n_images):
        members = rng.integers(0, 4, n_cells)
        feats = axes[members] + 0.5 * rng.standard_normal((n_cells, D))
        feats /= np.linalg.norm(feats, axis=1, keepdims=True)
        labels = rng.choice([0, 1, 2, 255], (8, 10))
        yield rng.integers(0, 4, (8, 10)), feats.astype(np.float32), members, rng.random((n_cells, 4)), labels


def survey_of(samples, **options) -> ClusterSurvey:
    survey = ClusterSurvey(K, n_classes=C, n_places=3, n_images=2, **options)
    for i, sample in enumerate(samples):
        survey.add(i, *sample)
    return survey


def all_places(samples, direction: np.ndarray, k: int) -> list:
    """(image, box, cosine) of the best cell of every image, the best first."""
    found = []
    for i, (_, feats, members, boxes, _) in enumerate(samples):
        cosines = [(float(f @ direction), tuple(box)) for f, m, box in zip(feats, members, boxes) if m == k]
        if cosines:
            found.append((i, *max(cosines)[::-1]))
    return sorted(found, key=lambda place: -place[2])


def test_counts_and_typical_images():
    samples = list(images())
    survey = survey_of(samples)
    shares = np.array([[(clusters == k).mean() for k in range(K)] for clusters, *_ in samples])
    np.testing.assert_allclose(survey.shares, shares.mean(0))
    assert survey.pixels.sum() == 60 * 80 and survey.pixels[4] == 0
    for k in range(4):
        order = np.argsort(-shares[:, k], kind='stable')[:2]
        assert [(t.image, t.share) for t in survey.images(k)] == [(i, shares[i, k]) for i in order]
    assert survey.images(4) == [] and survey.places(4) == []
    assert survey.held_images() == {t.image for k in range(4) for t in survey.images(k)}
    confusion = np.zeros((C, K), int)
    for clusters, *_, labels in samples:
        for c in range(C):
            for k in range(K):
                confusion[c, k] += ((labels == c) & (clusters == k)).sum()
    np.testing.assert_array_equal(survey.confusion, confusion)


def test_places_by_centres():
    samples, centers = list(images()), 3 * np.eye(K, D)
    survey = survey_of(samples, centers=centers)
    for k in range(4):
        expected = all_places(samples, np.eye(K, D)[k], k)[:3]
        assert [(p.image, p.box) for p in survey.places(k)] == [(i, box) for i, box, _ in expected]
        np.testing.assert_allclose([p.similarity for p in survey.places(k)], [s for *_, s in expected], rtol=1e-5)
    np.testing.assert_allclose(survey.similarities(), np.eye(K))


def test_places_by_the_mean_of_the_features():
    samples = list(images())
    survey = survey_of(samples)
    means = np.stack([np.mean(np.concatenate([f[m == k] for _, f, m, *_ in samples]), 0) for k in range(4)])
    units = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(survey.directions[:4], units, rtol=1e-5)
    np.testing.assert_allclose(survey.similarities()[:4, :4], units @ units.T, atol=1e-6)
    assert np.isnan(survey.similarities()[4]).all() and np.isnan(survey.similarities()[:, 4]).all()
    for k in range(4):
        # cells compete by the mean so far, so the best of all images are found, if not each one's best cell
        expected = all_places(samples, units[k], k)
        kept = survey.places(k)
        assert kept[0].image == expected[0][0] and kept[0].box == pytest.approx(expected[0][1])
        assert len({p.image for p in kept}) == 3
        assert [p.similarity for p in kept] == sorted((p.similarity for p in kept), reverse=True)
        assert kept[-1].similarity >= expected[3][2]


def test_memory_is_bounded():
    survey = survey_of(images(200))
    assert max(len(pool) for pool in survey._places) <= 8 * 3
    # nothing kept is a view of what there was of an image
    assert all(type(box) is tuple and feat.base is None for pool in survey._places for _, box, feat in pool)
    assert len(survey.held_images()) <= 4 * 2


def test_nearest_clusters():
    cosines = np.array([[1., .2, np.nan, .9], [.2, 1., np.nan, .2], [np.nan] * 4, [.9, .2, np.nan, 1.]])
    assert nearest_clusters(cosines, 0, 3) == [(3, .9), (1, .2)]
    assert nearest_clusters(cosines, 1, 1) == [(0, .2)]
    assert nearest_clusters(cosines, 2, 3) == []


def test_without_any_image():
    survey = ClusterSurvey(K)
    assert survey.shares.tolist() == [0.] * K and np.isnan(survey.similarities()).all()
