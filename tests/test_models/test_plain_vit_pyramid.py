import pytest
import torch
import torch.nn.functional as F

from mmseg_unsup.models import PlainViTPyramid


def test_levels_start_as_enlargements_and_the_sum_is_theirs():
    torch.manual_seed(0)
    neck, x = PlainViTPyramid(6, 5), torch.randn(2, 6, 4, 5)
    fine, double, same, half = neck.levels((x, ))
    assert torch.equal(double, F.interpolate(x, scale_factor=2)) and torch.equal(same, x)
    assert torch.equal(half, F.max_pool2d(x, 2))
    mean, var = x.mean(1, keepdim=True), x.var(1, correction=0, keepdim=True)
    normed = (x - mean) / (var + 1e-5).sqrt()
    activated = normed * (1 + torch.erf(normed / 2**0.5)) / 2
    torch.testing.assert_close(fine, F.interpolate(activated, scale_factor=4), atol=1e-5, rtol=1e-5)
    out, = neck((x, ))
    total = torch.zeros(())
    for lateral, level in reversed(list(zip(neck.laterals, (fine, double, same, half)))):
        if total.dim():
            total = F.interpolate(total, size=level.shape[2:], mode='bilinear')
        total = total + torch.einsum('nchw,oc->nohw', level, lateral.weight[..., 0, 0]) + lateral.bias[:, None, None]
    torch.testing.assert_close(out, total, atol=1e-5, rtol=1e-5)


def test_projection_acts_on_the_hypercolumn():
    torch.manual_seed(0)
    neck, x = PlainViTPyramid(6, 5, init='pca'), torch.randn(1, 6, 4, 4)
    column = neck.hypercolumn((x, ))
    assert column.shape == (1, 24, 16, 16) and sum(neck.in_channels) == 24
    weight, bias = torch.randn(5, 24), torch.randn(5)
    neck.set_projection(weight, bias)
    expected = torch.einsum('nchw,oc->nohw', column, weight) + bias[:, None, None]
    torch.testing.assert_close(neck((x, ))[0], expected, atol=1e-5, rtol=1e-5)


def test_every_parameter_learns():
    neck = PlainViTPyramid(6, 5)
    neck((torch.randn(1, 6, 4, 4), ))[0].square().sum().backward()
    assert all(parameter.grad.any() for parameter in neck.parameters())


def test_one_map_is_needed():
    with pytest.raises(ValueError, match='from one map, but the backbone gives 2: set backbone.out_indices'):
        PlainViTPyramid(6, 5)((torch.zeros(1, 6, 2, 2), ) * 2)
