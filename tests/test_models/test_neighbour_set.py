"""Classes of labelled examples, and which images to label next, against slow calculations."""
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmseg_unsup.clustering import rank_to_label
from mmseg_unsup.models import ClusterHead
from mmseg_unsup.utils import memory

N_CLASSES, N_CHANNELS = 3, 8


def examples(n_images=4, seed=0):
    """Features (N, C, 4, 5) around a direction per class, of any length, and label maps of twice their sides."""
    generator = torch.Generator().manual_seed(seed)
    means = 3 * torch.randn(N_CLASSES, N_CHANNELS, generator=torch.Generator().manual_seed(9))
    labels = torch.randint(N_CLASSES, (n_images, 4, 5), generator=generator)
    feats = means[labels] + torch.randn(n_images, 4, 5, N_CHANNELS, generator=generator)
    labels[:, 0, :2] = 255
    maps = labels.repeat_interleave(2, 1).repeat_interleave(2, 2)
    return feats.permute(0, 3, 1, 2), maps


def head(**vote):
    clusters = dict(examples=dict(type='mmseg_unsup.NeighbourSet', **vote))
    return ClusterHead(N_CHANNELS, N_CLASSES, clusters=clusters)


def test_cells_take_the_classes_of_their_nearest_examples():
    feats, maps = examples()
    of_head = head(k=5, temperature=0.1)
    of_head.clusters['examples'].fit(zip(feats, maps), len(feats))
    others, _ = examples(2, seed=1)
    scores = of_head((others, ))  # the set predicts where there is no k-means
    rows = F.normalize(feats, dim=1).permute(0, 2, 3, 1).flatten(0, 2).numpy()
    labels = maps[:, ::2, ::2].flatten().numpy()
    rows, labels = rows[labels != 255], labels[labels != 255]
    for image, of_image in zip(F.normalize(others, dim=1).numpy(), scores.numpy()):
        for y, x in np.ndindex(4, 5):
            similarity = rows @ image[:, y, x]
            nearest = np.argsort(-similarity)[:5]
            weights = np.exp(similarity[nearest] / 0.1)
            expected = np.bincount(labels[nearest], weights, N_CLASSES) / weights.sum()
            np.testing.assert_allclose(of_image[:, y, x], expected, atol=1e-5)
    restored = head(k=5, temperature=0.1)
    restored.load_state_dict(of_head.state_dict())
    assert torch.equal(restored((others, )), scores) and len(restored.clusters['examples'].memory) == len(rows)


def test_the_examples_that_are_kept_are_bounded(monkeypatch):
    feats, maps = examples()
    of_set = head().clusters['examples']
    of_set.fit(zip(feats, maps), len(feats), max_cells=12)
    assert of_set.memory.shape == (12, N_CHANNELS) and of_set.labels.sum(1).tolist() == [1] * 12
    first = of_set.memory.clone()
    of_set.fit(zip(feats, maps), len(feats), max_cells=12)
    assert torch.equal(of_set.memory, first)
    monkeypatch.setattr(memory, 'available_memory', lambda: 8 * 80 * 11 - 1)
    with pytest.raises(MemoryError, match='a memory of 80 cells of 8 channels and 3 classes .* lower max_cells'):
        of_set.fit(zip(feats, maps), len(feats))


@pytest.mark.parametrize('change, message', [
    (lambda feats, maps: (feats, torch.full_like(maps, 255)), 'no pixel of the examples is labelled'),
    (lambda feats, maps: (feats, maps.clamp(max=7)), 'label 7 is out of range: expected 0..2 or 255'),
    (lambda feats, maps: (feats * float('nan'), maps), 'features of the examples are not finite'),
])
def test_examples_that_cannot_be_used(change, message):
    of_set = head().clusters['examples']
    with pytest.raises(ValueError, match=message):
        of_set.fit(zip(*change(*examples())), 4)
    assert not of_set.is_fitted


def test_images_that_help_most():
    generator = torch.Generator().manual_seed(0)
    descriptors, known = (F.normalize(torch.randn(n, 4, generator=generator), dim=1) for n in (12, 3))
    confidence = torch.rand(12, generator=generator)
    expected, centers = [], known.double().numpy()
    for _ in range(12):
        distance = 1 - (descriptors.double().numpy() @ centers.T).max(1)
        worth = (1 - confidence.double().numpy()) * distance
        worth[expected] = -1
        expected.append(int(worth.argmax()))
        centers = np.vstack([centers, descriptors[expected[-1]].double().numpy()])
    assert rank_to_label(descriptors, confidence, known, 20) == expected
    assert rank_to_label(descriptors, confidence, known, 3) == expected[:3]
    none = rank_to_label(descriptors, confidence, known[:0], 1)
    assert none == [int(confidence.argmin())]
    twice = torch.cat([descriptors, descriptors])  # copies of what was chosen come last
    assert sorted(rank_to_label(twice, confidence.repeat(2), known, 12)) == list(range(12))
