"""The unit length of features, and its gradient."""
import torch
import torch.nn.functional as F

from mmseg_unsup.functional import unit


def test_unit_features_and_their_gradient_are_those_of_torch():
    feats = torch.randn(2, 6, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    feats[0, :, 1, 2] = 0  # no direction: the gradient is that of a division by the smallest norm
    factors = torch.randn(feats.shape, generator=torch.Generator().manual_seed(1))
    results = []
    for function in (unit, lambda x: F.normalize(x, dim=1)):
        leaf = feats.clone().requires_grad_()
        units = function(leaf)
        (units * factors).sum().backward()
        results.append((units, leaf.grad))
    (ours, our_grad), (theirs, their_grad) = results
    assert torch.equal(ours, theirs) and torch.equal(unit(feats), theirs)
    torch.testing.assert_close(our_grad, their_grad, rtol=1e-5, atol=1e-6)


def test_the_gradient_of_bfloat16_features_is_bfloat16():
    leaf = torch.randn(1, 4, 2, 2).bfloat16().requires_grad_()
    units = unit(leaf)
    units.sum().backward()
    assert units.dtype == torch.float32 and leaf.grad.dtype == torch.bfloat16
