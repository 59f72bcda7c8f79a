import pytest
import torch
import torch.nn.functional as F

from mmseg_unsup.models import LateralSumNeck


def levels():
    torch.manual_seed(0)
    return tuple(torch.randn(2, c, s, s + 1) for c, s in ((4, 13), (6, 7), (8, 4)))


def test_sum_by_hand():
    neck, (c2, c3, c4) = LateralSumNeck((4, 6, 8), 5), levels()

    def conv(i, x):
        return torch.einsum('nchw,oc->nohw', x, neck.laterals[i].weight[..., 0, 0]) + neck.laterals[i].bias[:, None,
                                                                                                          None]

    top = F.interpolate(conv(2, c4), size=(7, 8), mode='bilinear') + conv(1, c3)
    expected = F.interpolate(top, size=(13, 14), mode='bilinear') + conv(0, c2)
    out, = neck((c2, c3, c4))
    torch.testing.assert_close(out, expected)


def test_projection_acts_on_the_hypercolumn():
    neck, inputs = LateralSumNeck((4, 6, 8), 5), levels()
    weight, bias = torch.randn(5, 18), torch.randn(5)
    neck.set_projection(weight, bias)
    expected = torch.einsum('nchw,oc->nohw', neck.hypercolumn(inputs), weight) + bias[:, None, None]
    torch.testing.assert_close(neck(inputs)[0], expected, atol=1e-5, rtol=1e-5)


def test_wrong_number_of_levels():
    with pytest.raises(ValueError, match='3 laterals, but the backbone gives 2 levels'):
        LateralSumNeck((4, 6, 8), 5)(levels()[:2])
