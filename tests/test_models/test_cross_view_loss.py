import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmseg_unsup.models.losses import cross_view_loss


def random_case(views=2, n=2, c=5, k=4, h=3, w=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    feats = [F.normalize(torch.randn(n, c, h, w, generator=generator), dim=1) for _ in range(views)]
    labels = [torch.randint(k, (n, h, w), generator=generator) for _ in range(views)]
    prototypes = torch.randn(views, k, c, generator=generator)
    weights = torch.rand(views, k, generator=generator) + 0.1
    return feats, labels, prototypes, weights


def slow_term(feat, label, prototypes, weight, temperature):
    """sum of w_y (-log softmax_y) over the sum of w_y, pixel by pixel."""
    total = norm = 0.
    for n in range(feat.shape[0]):
        for i in range(feat.shape[2]):
            for j in range(feat.shape[3]):
                y = int(label[n, i, j])
                logits = [float(np.dot(feat[n, :, i, j], mu)) / temperature for mu in prototypes]
                log_sum = math.log(sum(math.exp(z) for z in logits))
                total += float(weight[y]) * (log_sum - logits[y])
                norm += float(weight[y])
    return total / norm


@pytest.mark.parametrize('temperature', [1., 0.1])
def test_equals_a_slow_loop(temperature):
    feats, labels, prototypes, weights = random_case()
    losses, = cross_view_loss(feats, [labels], [prototypes], [weights], temperature)
    f, y, mu, w = ([x.numpy() for x in group] for group in (feats, labels, prototypes, weights))
    within = [slow_term(f[v], y[v], mu[v], w[v], temperature) for v in range(2)]
    assert float(losses['loss_within']) == pytest.approx(np.mean(within), rel=1e-5)
    # z_12 with y2 and w2, z_21 with y1 and w1
    cross = [slow_term(f[0], y[1], mu[1], w[1], temperature), slow_term(f[1], y[0], mu[0], w[0], temperature)]
    assert float(losses['loss_cross']) == pytest.approx(np.mean(cross), rel=1e-5)
    wrong = [slow_term(f[0], y[0], mu[1], w[0], temperature), slow_term(f[1], y[1], mu[0], w[1], temperature)]
    assert float(losses['loss_cross']) != pytest.approx(np.mean(wrong), rel=1e-2)


def test_one_view_has_no_cross_term():
    feats, labels, prototypes, weights = random_case(views=1)
    assert [list(losses) for losses in cross_view_loss(feats, [labels], [prototypes], [weights])] == [['loss_within']]


def test_levels_are_apart():
    feats, *first = random_case()
    _, *second = random_case(k=7, seed=1)
    alone = [cross_view_loss(feats, *[[part] for part in level])[0] for level in (first, second)]
    for ours, theirs in zip(cross_view_loss(feats, *zip(first, second)), alone):
        assert ours.keys() == theirs.keys()
        assert [*map(float, ours.values())] == pytest.approx([*map(float, theirs.values())], rel=1e-6)


def test_gradient_reaches_both_views_and_nothing_else():
    feats, labels, prototypes, weights = random_case()
    for feat in feats:
        feat.requires_grad_()
    sum(cross_view_loss(feats, [labels], [prototypes], [weights])[0].values()).backward()
    assert all(feat.grad.abs().sum() > 0 for feat in feats)
    assert prototypes.grad is None


def test_every_cluster_is_trained_however_many_there_are():
    """255 is a cluster like the others, not the mark of pixels that do not count."""
    feats, labels, prototypes, weights = random_case(k=300)
    labels = [torch.full_like(label, 255) for label in labels]
    losses, = cross_view_loss(feats, [labels], [prototypes], [weights])
    expected = [slow_term(*(x[v].numpy() for x in (feats, labels, prototypes, weights)), 1.) for v in range(2)]
    assert float(losses['loss_within']) == pytest.approx(np.mean(expected), rel=1e-5)
