"""Votes of neighbours and soft labels against the arrays of the released code, and against slow calculations."""
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmseg_unsup.clustering import (NeighbourVote, attend, balanced_cells, balanced_order, class_shares, nearest_rows,
                                    neighbours)
from ..facts import facts


def official():
    return {name: torch.from_numpy(array) for name, array in facts('hummingbird').items()}


def test_soft_labels_and_balance_of_the_released_code():
    arrays = official()
    shares = torch.stack([class_shares(labels, (4, 4), 4) for labels in arrays['gt'][:, 0]])
    torch.testing.assert_close(shares, arrays['soft_labels'], atol=1e-6, rtol=0)
    for i, uniform in enumerate(arrays['uniform'].view(2, 16)):
        kept = balanced_order(shares[i].flatten(0, 1), uniform.double())[:5]
        assert torch.equal(kept, arrays['sampled_index'][i])
        assert torch.equal(arrays['feats'][i][kept], arrays['sampled_feats'][i])


@pytest.mark.parametrize('backend', ['torch', 'faiss'])
def test_attention_and_retrieval_of_the_released_code(backend):
    arrays = official()
    cosines = torch.einsum('bqc,bqkc->bqk', F.normalize(arrays['q'], dim=-1), F.normalize(arrays['k'], dim=-1))
    attended = attend(cosines.flatten(0, 1), arrays['v'].flatten(0, 1), 0.02)
    torch.testing.assert_close(attended, arrays['attended'].flatten(0, 1), atol=1e-5, rtol=0)
    if backend == 'faiss':
        pytest.importorskip('faiss')
    queries, memory, labels = arrays['q'].flatten(0, 1), arrays['memory'], arrays['memory_labels']
    _, index = nearest_rows(queries, memory, 7, backend)
    assert torch.equal(labels[index], arrays['retrieved_labels'].flatten(0, 1))
    found = NeighbourVote(7, 0.02, backend)(queries, memory, labels)
    torch.testing.assert_close(found, arrays['prediction'].flatten(0, 1), atol=1e-5, rtol=0)


@pytest.mark.parametrize('shape', [(3, 4), (5, 3), (17, 20)])  # parts, uneven parts, a grid finer than the labels
def test_every_pixel_counts_once(shape):
    labels = torch.from_numpy(np.random.default_rng(0).choice([0, 1, 2, 255], (9, 8)))
    labels[:4, :4] = 255
    shares = class_shares(labels, shape, 3)
    large = labels.numpy().repeat(17, 0).repeat(20, 1) if shape == (17, 20) else labels.numpy()
    ys, xs = (np.arange(side) * n // side for side, n in zip(large.shape, shape))
    for y, x in np.ndindex(*shape):
        cell = large[np.ix_(ys == y, xs == x)]
        if shape == (17, 20):
            cell = np.array([labels[y * 9 // 17, x * 8 // 20]])
        n_labelled = (cell != 255).sum()
        expected = [(cell == k).sum() / max(1, n_labelled) for k in range(3)]
        np.testing.assert_allclose(shares[y, x].numpy(), expected, atol=1e-6)
    assert not shares[0, 0].any()
    with pytest.raises(ValueError, match='label 7 is out of range in FILE: expected 0..2 or 255'):
        class_shares(torch.where(labels == 2, 7, labels), shape, 3, where=' in FILE')


def test_cells_of_rare_classes_are_kept():
    shares = F.one_hot(torch.tensor([0] * 95 + [1] * 5), 3).float().view(10, 10, 3)
    shares[0, 0] = 0  # of no class
    n_rare = [int((balanced_cells(shares, 10, (0, i)) >= 95).sum()) for i in range(200)]
    assert np.mean(n_rare) > 4  # 0.5 by chance
    assert len(balanced_cells(shares, 1000, (0, 0))) == 99
    assert torch.equal(balanced_cells(shares, 10, (1, 2)), balanced_cells(shares, 10, (1, 2)))


def test_memory_in_blocks_is_the_memory_at_once(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    rows, memory = (torch.randn(n, 5, generator=generator) for n in (11, 50))
    expected = (rows.double() @ memory.double().t()).sort(1, descending=True)
    for size in (3, 50, 1000):
        monkeypatch.setattr(neighbours, 'BLOCK_ROWS', size)
        similarity, index = nearest_rows(rows, memory, 8)
        assert torch.equal(index, expected.indices[:, :8])
        torch.testing.assert_close(similarity.double(), expected.values[:, :8], atol=1e-5, rtol=0)
    few = NeighbourVote(k=30)(rows, F.normalize(memory[:4], dim=1), torch.eye(4))
    weights = ((F.normalize(rows, dim=1) @ F.normalize(memory[:4], dim=1).t()) / 0.02).softmax(1)
    torch.testing.assert_close(few, weights)
