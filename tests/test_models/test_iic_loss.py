import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmseg_unsup.models.losses.iic_loss import iic_loss


def random_maps(n=2, k=3, h=4, w=5, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, k, h, w, generator=generator, dtype=dtype).mul(2).softmax(1) for _ in range(2)]


def slow_loss(first, second, valid, d, marginal_weight=1.):
    """Pair by pair, displacement by displacement, in float64."""
    n, k, h, w = first.shape
    terms = []
    for dy in range(-d, d + 1):
        for dx in range(-d, d + 1):
            joint, pairs = np.zeros((k, k)), 0
            for i in range(n):
                for y in range(h):
                    for x in range(w):
                        y2, x2 = y + dy, x + dx
                        if 0 <= y2 < h and 0 <= x2 < w and valid[i, y, x] and valid[i, y2, x2]:
                            joint += np.outer(first[i, :, y, x], second[i, :, y2, x2])
                            pairs += 1
            joint = (joint + joint.T) / (2 * pairs)
            rows, columns = joint.sum(1), joint.sum(0)
            terms.append(sum(
                joint[a, b] * (math.log(joint[a, b]) - marginal_weight * (math.log(rows[a]) + math.log(columns[b])))
                for a in range(k) for b in range(k)))
    return -sum(terms) / len(terms)


@pytest.mark.parametrize('marginal_weight', [1., 1.5])
@pytest.mark.parametrize('masked', [False, True])
@pytest.mark.parametrize('d', [0, 1, 2])
def test_equals_a_slow_loop(d, masked, marginal_weight):
    first, second = random_maps()
    valid = torch.rand(2, 4, 5, generator=torch.Generator().manual_seed(1)) < 0.7 if masked else None
    loss = iic_loss(first, second, valid, d, marginal_weight)
    everywhere = np.ones((2, 4, 5), bool) if valid is None else valid.numpy()
    expected = slow_loss(first.double().numpy(), second.double().numpy(), everywhere, d, marginal_weight)
    assert float(loss) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def information(joint):
    """sum p ln(p / (row column)) of a symmetric table of probabilities."""
    joint = np.array(joint)
    return sum(p * math.log(p / (joint[a].sum() * joint[:, b].sum())) for (a, b), p in np.ndenumerate(joint) if p)


def maps_of(*cells):
    """Rows of shares of cluster 0 -> maps (1, 2, h, w)."""
    return [torch.stack([torch.tensor(share), 1 - torch.tensor(share)])[None] for share in cells]


def test_no_displacement_by_hand():
    """Summed over the cells P is (1 0.5 / 0 2.5) / 4."""
    maps = maps_of([[1., 0.], [.5, 0.]], [[1., 0.], [0., 0.]])
    assert float(iic_loss(*maps)) == pytest.approx(-information([[1 / 4, .25 / 4], [.25 / 4, 2.5 / 4]]), rel=1e-5)


def test_nine_displacements_by_hand():
    """Cluster 0 is the left column in the first view and the upper left cell in the second.

    Clusters of the pairs (u, u + t), for t = (down, right):
    (0, 0): 00 01 11 11;  (0, 1): 01 01;  (0, -1): 10 11;  (1, 0): 01 11;  (-1, 0): 00 11;
    (1, 1): 01;  (1, -1): 11;  (-1, 1): 01;  (-1, -1): 10.
    """
    maps = maps_of([[1., 0.], [1., 0.]], [[1., 0.], [0., 0.]])
    none = information([[1 / 4, .5 / 4], [.5 / 4, 2 / 4]])
    different = equal = math.log(2)  # only 01 or 10; 00 and 11 in equal parts
    mixed = information([[0, 1 / 4], [1 / 4, 2 / 4]])  # 11 and one of 01, 10
    expected = [none, different, mixed, mixed, equal, different, 0, different, different]
    assert float(iic_loss(*maps, max_displacement=1)) == pytest.approx(-sum(expected) / 9, rel=1e-5)


@pytest.mark.parametrize('k', [2, 5])
def test_the_minimum_is_minus_ln_k(k):
    cells = torch.arange(2 * 5 * k).view(2, 5, k) % k
    agreeing = F.one_hot(cells, k).permute(0, 3, 1, 2).float()
    renamed = agreeing.roll(1, 1)  # one-to-one, but P is symmetrised: only equal names reach the minimum
    assert float(iic_loss(agreeing, agreeing)) == pytest.approx(-math.log(k), rel=1e-5)
    assert k == 2 or float(iic_loss(agreeing, renamed)) > -math.log(k) + 0.1
    # an image of each cluster: neighbours agree too
    flat = torch.eye(k)[:, :, None, None].expand(k, k, 4, 4)
    assert float(iic_loss(flat, flat, max_displacement=1)) == pytest.approx(-math.log(k), rel=1e-5)


def test_no_information_without_variety():
    constant = torch.zeros(2, 3, 4, 4)
    constant[:, 1] = 1
    assert float(iic_loss(constant, constant, max_displacement=1)) == pytest.approx(0, abs=1e-6)
    uniform = torch.full((2, 3, 4, 4), 1 / 3)
    assert float(iic_loss(uniform, uniform)) == pytest.approx(0, abs=1e-6)


def test_a_larger_marginal_weight_adds_entropy():
    """With lambda the loss is H(joint) - 2 lambda H(marginal)."""
    first, _ = random_maps()
    one, two = (iic_loss(first, first, marginal_weight=weight) for weight in (1., 2.))
    share = first.mean((0, 2, 3))
    entropy = -(share * share.log()).sum()
    torch.testing.assert_close(one - two, 2 * entropy)


@pytest.mark.parametrize('d', [0, 1])
def test_invalid_cells_do_not_count(d):
    first, second = random_maps()
    valid = torch.rand(2, 4, 5, generator=torch.Generator().manual_seed(2)) < 0.7
    reference = iic_loss(first, second, valid, d)
    for maps in (first, second):
        maps.permute(0, 2, 3, 1)[~valid] = float('nan')
    first.requires_grad_()
    loss = iic_loss(first, second, valid, d)
    torch.testing.assert_close(loss, reference)
    loss.backward()
    by_cell = first.grad.permute(0, 2, 3, 1)
    assert (by_cell[~valid] == 0).all() and by_cell[valid].isfinite().all() and by_cell[valid].any()


def test_a_mask_of_a_corner_equals_the_corner():
    first, second = random_maps(h=6, w=7)
    valid = torch.zeros(2, 6, 7, dtype=torch.bool)
    valid[:, :4, 2:] = True
    torch.testing.assert_close(
        iic_loss(first, second, valid, 1), iic_loss(first[:, :, :4, 2:], second[:, :, :4, 2:], None, 1))


def test_no_valid_cell_is_no_loss():
    maps = [x.requires_grad_() for x in random_maps()]
    loss = iic_loss(*maps, torch.zeros(2, 4, 5, dtype=torch.bool), 1)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)
    assert all(x.grad.isfinite().all() for x in maps)


@pytest.mark.parametrize('d', [0, 1])
def test_gradient_reaches_both_views_and_is_right(d):
    maps = [x.requires_grad_() for x in random_maps()]
    iic_loss(*maps, max_displacement=d).backward()
    assert all(x.grad.abs().sum() > 0 for x in maps)
    tiny = [x.requires_grad_() for x in random_maps(n=2, k=2, h=2, w=3, dtype=torch.float64)]
    valid = torch.tensor([[[True, True, False], [True] * 3], [[True] * 3] * 2])
    assert torch.autograd.gradcheck(lambda a, b: iic_loss(a, b, valid, d, 1.3), tiny)


def test_zero_probabilities_have_finite_gradients():
    maps = [F.one_hot(torch.tensor([[[0, 1], [1, 1]]]), 3).permute(0, 3, 1, 2).float().requires_grad_()
            for _ in range(2)]
    iic_loss(*maps, max_displacement=1).backward()
    assert all(x.grad.isfinite().all() for x in maps)


def test_descent_makes_the_views_agree():
    """Logits that start at random end at one-hot, agreeing, equally large clusters."""
    torch.manual_seed(0)
    logits = [torch.randn(2, 3, 6, 6, requires_grad=True) for _ in range(2)]
    optimizer = torch.optim.Adam(logits, lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        loss = iic_loss(*(x.softmax(1) for x in logits))
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) == pytest.approx(-math.log(3), abs=0.02)
    assert torch.equal(logits[0].argmax(1), logits[1].argmax(1))


def test_float32_under_autocast_and_for_half_precision():
    maps = random_maps()
    reference = iic_loss(*maps, max_displacement=1)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(iic_loss(*maps, max_displacement=1), reference)
    half = iic_loss(*(x.bfloat16() for x in maps), max_displacement=1)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, iic_loss(*(x.bfloat16().float() for x in maps), max_displacement=1))


def test_memory_format_does_not_matter():
    maps = random_maps()
    last = [x.contiguous(memory_format=torch.channels_last) for x in maps]
    torch.testing.assert_close(iic_loss(*last, max_displacement=1), iic_loss(*maps, max_displacement=1))


def test_wrong_arguments():
    first, second = random_maps()
    with pytest.raises(ValueError, match=r'\(2, 3, 4, 5\) and \(2, 3, 4, 4\)'):
        iic_loss(first, second[..., :4])
    with pytest.raises(ValueError, match=r'valid must have shape \(2, 4, 5\)'):
        iic_loss(first, second, torch.ones(2, 1, 4, 5, dtype=torch.bool))
    for d in (-1, 4):
        with pytest.raises(ValueError, match=f'from 0 to 3 on maps of 4 x 5 cells, but it is {d}'):
            iic_loss(first, second, max_displacement=d)
