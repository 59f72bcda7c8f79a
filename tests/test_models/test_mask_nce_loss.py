import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmseg_unsup.models.losses import MaskNCELoss, mask_nce_loss
from mmseg_unsup.functional import object_means, object_rows, resize_ids, sample_object_rows


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def batch(n=60, p=5, k=7, d=8):
    ids = torch.randint(p, (n, ), generator=torch.Generator().manual_seed(1))
    return unit(n, d), ids, unit(p, d, seed=2), unit(k, d, seed=3)


def slow_loss(anchors, ids, prototypes, negatives, temperature):
    """Anchor by anchor, in float64."""
    anchors, ids, prototypes, negatives = (x.double().numpy() for x in (anchors, ids, prototypes, negatives))
    counts = np.bincount(ids.astype(int), minlength=len(prototypes))
    total = weights = hits = 0.
    for anchor, i in zip(anchors, ids.astype(int)):
        logits = [anchor @ x / temperature for x in [*prototypes, *negatives]]
        weight = 1 / math.log(1.02 + counts[i] / len(anchors))
        total += weight * (math.log(sum(math.exp(x) for x in logits)) - logits[i])
        weights += weight
        hits += max(range(len(logits)), key=logits.__getitem__) == i
    return total / weights, 100 * hits / len(anchors)


@pytest.mark.parametrize('temperature', [0.5, 0.1])
def test_equals_a_slow_loop(temperature):
    loss, accuracy = slow_loss(*batch(), temperature)
    terms = mask_nce_loss(*batch(), temperature)
    assert float(terms['loss']) == pytest.approx(loss, rel=1e-5)
    assert float(terms['accuracy']) == pytest.approx(accuracy)


def test_by_hand():
    """Two objects with 3 and 1 anchors; every anchor lies on its prototype, which are opposite: logits 2 and -2."""
    prototypes = torch.tensor([[1., 0.], [-1., 0.]])
    ids = torch.tensor([0, 0, 0, 1])
    terms = mask_nce_loss(prototypes[ids], ids, prototypes)
    assert float(terms['loss']) == pytest.approx(math.log(1 + math.exp(-4)), rel=1e-5)
    assert float(terms['accuracy']) == 100
    # the one anchor of object 1 on the wrong side: weights 1 / ln 1.77 and 1 / ln 1.27
    heavy, light = 1 / math.log(1.02 + 0.25), 1 / math.log(1.02 + 0.75)
    right, wrong = math.log(1 + math.exp(-4)), math.log(1 + math.exp(4))
    terms = mask_nce_loss(prototypes[[0, 0, 0, 0]], ids, prototypes)
    assert float(terms['loss']) == pytest.approx((3 * light * right + heavy * wrong) / (3 * light + heavy), rel=1e-5)
    assert float(terms['accuracy']) == 75


@pytest.mark.parametrize('n_objects, length, expected', [(32, 128, 5.08), (64, 256, 5.77)])
def test_starts_near_the_logarithm_of_all_choices(n_objects, length, expected):
    assert math.log(n_objects + length) == pytest.approx(expected, abs=0.01)
    loss = mask_nce_loss(*batch(4000, n_objects, length, 32))['loss']
    assert float(loss) == pytest.approx(expected, abs=0.15)


def test_the_order_of_objects_does_not_matter():
    anchors, ids, prototypes, negatives = batch()
    order = torch.randperm(len(prototypes), generator=torch.Generator().manual_seed(4))
    permuted = mask_nce_loss(anchors, order.argsort()[ids], prototypes[order], negatives)
    torch.testing.assert_close(permuted, mask_nce_loss(anchors, ids, prototypes, negatives))


def test_objects_without_anchors_are_negatives_only():
    anchors, ids, prototypes, negatives = batch()
    kept = ids != 2
    loss = mask_nce_loss(anchors[kept], ids[kept], prototypes, negatives)['loss']
    moved = torch.cat([prototypes[[0, 1, 3, 4]], prototypes[2:3]])
    renamed = torch.tensor([0, 1, -1, 2, 3])[ids[kept]]
    torch.testing.assert_close(mask_nce_loss(anchors[kept], renamed, moved, negatives)['loss'], loss)


@pytest.mark.parametrize('n_prototypes', [0, 3])
def test_no_anchor_is_no_loss(n_prototypes):
    anchors = unit(4, 8).requires_grad_()
    nothing = torch.zeros(0, dtype=torch.long)
    terms = mask_nce_loss(anchors[nothing], nothing, unit(n_prototypes, 8), unit(5, 8))
    terms['loss'].backward()
    assert float(terms['loss'].detach()) == 0 and float(terms['accuracy']) == 0
    assert (anchors.grad == 0).all()


def test_gradient_is_right():
    anchors, ids, prototypes, negatives = batch(6, 2, 2, 3)
    anchors.requires_grad_()
    loss = mask_nce_loss(anchors, ids, prototypes, negatives)['loss']
    gradient, = torch.autograd.grad(loss, anchors)
    for i, c in ((0, 0), (5, 2)):
        step = torch.zeros_like(anchors)
        step[i, c] = 1e-4
        ends = [slow_loss(anchors.detach().double() + sign * step, ids, prototypes, negatives, 0.5)[0]
                for sign in (1, -1)]
        assert float(gradient[i, c]) == pytest.approx((ends[0] - ends[1]) / 2e-4, abs=1e-5)


def test_float32_under_autocast():
    reference = mask_nce_loss(*batch())['loss']
    with torch.autocast('cpu', torch.bfloat16):
        loss = mask_nce_loss(*batch())['loss']
    assert loss.dtype == torch.float32 and torch.equal(loss, reference)


def test_module():
    terms = MaskNCELoss(temperature=0.2, loss_weight=3.)(*batch())
    reference = mask_nce_loss(*batch(), temperature=0.2)
    torch.testing.assert_close(terms['loss'], 3 * reference['loss'])
    assert torch.equal(terms['accuracy'], reference['accuracy'])


def maps(n=3, d=4, h=3, w=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, h, w, generator=generator), torch.randint(3, (n, h, w), generator=generator)


def test_object_means_equal_a_slow_loop():
    feats, ids = maps()
    ids[1] = 0  # an image without an object
    ids[2][ids[2] == 2] = 1
    means, present = object_means(feats, ids.byte(), 2)
    assert present.tolist() == [True, True, False, False, True, False]
    for i in range(3):
        for b in (1, 2):
            rows = [feats[i, :, y, x] / feats[i, :, y, x].norm() for y, x in torch.nonzero(ids[i] == b).tolist()]
            expected = sum(rows) / sum(rows).norm() if rows else torch.zeros(4)
            torch.testing.assert_close(means[2 * i + b - 1], expected)


def test_object_rows_belong_to_their_means():
    feats, ids = maps()
    rows, objects = object_rows(feats, ids.byte(), 2)
    expected = [(feats[i, :, y, x] / feats[i, :, y, x].norm(), 2 * i + int(ids[i, y, x]) - 1)
                for i, y, x in torch.nonzero(ids).tolist()]
    torch.testing.assert_close(rows, torch.stack([row for row, _ in expected]))
    assert objects.tolist() == [i for _, i in expected]


def test_sampled_rows_are_those_of_the_enlarged_map():
    """Every drawn row is one of the full-resolution rows of its object, none twice, at most ``count`` an image."""
    feats, _ = maps()
    ids = torch.zeros(3, 12, 20, dtype=torch.uint8)
    ids[0, 2:9, 3:15], ids[2, 5, 3:7], ids[2, 8, 16] = 1, 2, 1  # nearer the border, pixels are alike
    full, full_objects = object_rows(F.interpolate(feats, (12, 20), mode='bilinear'), ids, 2)
    rows, objects = sample_object_rows(feats, ids, 2, 10)
    assert torch.bincount(objects, minlength=6).tolist() == [10, 0, 0, 0, 1, 4]
    matches = ((rows[:, None] - full).norm(dim=2) < 1e-4) & (objects[:, None] == full_objects)
    assert (matches.sum(1) == 1).all() and matches.sum(0).max() == 1
    assert not torch.equal(rows, sample_object_rows(feats, ids, 2, 10)[0])  # drawn anew
    everything, _ = sample_object_rows(feats, ids, 2, 10_000)
    assert len(everything) == len(full)


def test_a_cell_has_the_id_at_its_centre():
    ids = torch.arange(2 * 16 * 24).reshape(2, 16, 24) % 251
    assert torch.equal(resize_ids(ids.byte(), (2, 3)), ids[:, 4::8, 4::8].byte())
    assert resize_ids(ids, (16, 24)) is ids
