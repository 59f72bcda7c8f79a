import math

import numpy as np
import pytest
import torch

from mmseg_unsup.models.losses import BalancedBCELoss, balanced_bce_loss


def batch(seed=0, share=0.3):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(2, 4, 5, generator=generator), (torch.rand(2, 4, 5, generator=generator) < share).byte()


def slow_loss(logits, masks):
    logits, masks = logits.double().numpy().ravel(), masks.numpy().ravel()
    negative = np.mean(masks == 0)
    total = 0.
    for logit, mask in zip(logits, masks):
        p = 1 / (1 + math.exp(-logit))
        total -= negative * math.log(p) if mask else (1 - negative) * math.log(1 - p)
    return total / len(logits)


def test_equals_a_slow_loop():
    assert float(balanced_bce_loss(*batch())) == pytest.approx(slow_loss(*batch()), rel=1e-5)


@pytest.mark.parametrize('n_objects', [2, 8, 16])
def test_at_zero_logits_by_hand(n_objects):
    masks = torch.zeros(2, 4, 4, dtype=torch.uint8)
    masks.view(-1)[:n_objects] = 7  # any value but 0
    r = n_objects / 32
    assert float(balanced_bce_loss(torch.zeros(2, 4, 4), masks)) == pytest.approx(2 * r * (1 - r) * math.log(2))
    assert n_objects != 8 or 2 * r * (1 - r) * math.log(2) == pytest.approx(0.260, abs=1e-3)


@pytest.mark.parametrize('value', [0, 1])
def test_only_object_or_only_background(value):
    logits = batch()[0].requires_grad_()
    loss = balanced_bce_loss(logits, torch.full((2, 4, 5), value))
    loss.backward()
    assert float(loss.detach()) == 0 and (logits.grad == 0).all()


def test_large_logits_stay_finite():
    logits = torch.full((1, 2, 2), 1e4).requires_grad_()
    masks = torch.tensor([[[0, 1], [1, 1]]])
    loss = balanced_bce_loss(logits, masks)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.75 * 1e4 / 4) and logits.grad.isfinite().all()


def test_float32_under_autocast():
    reference = balanced_bce_loss(*batch())
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(balanced_bce_loss(*batch()), reference)
    half = balanced_bce_loss(batch()[0].bfloat16(), batch()[1])
    assert half.dtype == torch.float32


def test_module_and_shapes():
    torch.testing.assert_close(BalancedBCELoss(loss_weight=2.)(*batch()), 2 * balanced_bce_loss(*batch()))
    with pytest.raises(ValueError, match=r'one shape, but have \(2, 1, 4, 5\) and \(2, 4, 5\)'):
        balanced_bce_loss(batch()[0][:, None], batch()[1])
