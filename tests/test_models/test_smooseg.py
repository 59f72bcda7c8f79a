"""SmooSeg: the arrays of the released code, and what moves what."""
import pytest
import torch
import torch.nn.functional as F

from mmseg_unsup.models.clusters import AveragedSet, CosineClusterSet
from mmseg_unsup.models.losses.correspondence_loss import centred, correlations, other_images
from mmseg_unsup.models.necks import ResidualProjection
from mmseg_unsup.models.segmentors import SmooSeg
from mmseg_unsup.models.segmentors.smooseg import shift_of
from .test_correspondence_loss import tensors
from .test_stego import GivenTokens  # noqa: F401  registered


def model(cluster='mmseg_unsup.AveragedSet', **options) -> SmooSeg:
    torch.manual_seed(0)
    return SmooSeg(
        backbone=dict(type='mmseg_unsup.GivenTokens'),
        neck=dict(type='mmseg_unsup.ResidualProjection', in_channels=16, out_channels=6, activation='silu', dropout=0.),
        decode_head=dict(type='mmseg_unsup.ClusterHead', in_channels=6, n_clusters=5,
                         clusters=dict(cluster=dict(type=cluster))),
        **options)


def released(found: dict) -> SmooSeg:
    """With the released prototypes."""
    smooseg = model(negative_shift=0.5)
    clusters = smooseg.clusters['cluster']
    clusters.student.weight.data = found['local_clusters'].clone()
    clusters.teacher.weight.data = found['global_clusters'].clone()
    return smooseg


def test_losses_and_gradients_of_the_released_code():
    found = tensors('smooseg')
    smooseg, codes = released(found), found['code'].requires_grad_()
    clusters = smooseg.clusters['cluster']
    units = F.normalize(codes.detach(), dim=1)
    torch.testing.assert_close(clusters.student(units), found['inner_local'], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(clusters(units), found['inner_global'], rtol=1e-5, atol=1e-6)
    smooth = smooseg.smoothness_losses(found['feats'], codes, [found['perm']])
    data = smooseg.cluster_loss(codes)
    assert float(sum(smooth.values()).detach()) == pytest.approx(float(found['smooth_loss']), rel=1e-5)
    assert float(data.detach()) == pytest.approx(float(found['data_loss']), rel=1e-5)
    (sum(smooth.values()) + data).backward()
    torch.testing.assert_close(codes.grad, found['grad_code'], rtol=1e-4, atol=1e-8)
    torch.testing.assert_close(clusters.student.weight.grad, found['grad_local_clusters'], rtol=1e-4, atol=1e-8)
    assert clusters.teacher.weight.grad is None


def test_the_teacher_of_the_released_code():
    found = tensors('smooseg')
    smooseg = released(found)
    smooseg.follow(1.)
    clusters = smooseg.clusters['cluster']
    torch.testing.assert_close(clusters.teacher.weight.data, found['global_after_update'], rtol=1e-6, atol=1e-7)
    assert torch.equal(clusters.student.weight.data, found['local_clusters'])


def test_the_start_of_the_released_code():
    found = tensors('smooseg')
    torch.manual_seed(1)
    torch.randn(5, 6)  # the released code draws prototypes twice
    clusters = AveragedSet(6, 5, of=dict(type='mmseg_unsup.CosineClusterSet', unit_start=True))
    torch.testing.assert_close(clusters.student.weight.data, found['fresh_local'], rtol=1e-6, atol=1e-7)
    assert torch.equal(clusters.teacher.weight, clusters.student.weight)


def test_the_projection_of_the_released_code():
    found = tensors('smooseg')
    neck = ResidualProjection(16, 6, activation='silu', dropout=0.2).eval()
    prefix = 'projection.'
    neck.load_state_dict({key[len(prefix):]: value for key, value in found.items() if key.startswith(prefix)})
    torch.testing.assert_close(neck((found['feats'], ))[0], found['code'], rtol=1e-5, atol=1e-6)


def test_a_step_is_the_mean_over_draws_and_moves_the_teacher_last():
    smooseg = model(n_negatives=2, intra_shift=0.1, temperature=0.3)
    feats = torch.randn(3, 16, 3, 3)
    smooseg.start(is_new=True)
    torch.manual_seed(1)
    losses = smooseg([feats], [], mode='loss')
    torch.manual_seed(1)
    codes = smooseg.neck((feats, ))[0]
    others = [other_images(3) for _ in range(2)]
    shares = (F.cosine_similarity(codes[:, None], smooseg.clusters['cluster'].teacher.weight[None, :, :, None, None], 2)
              / 0.3).softmax(1)
    rows, of = (x.flatten(2).transpose(1, 2) for x in (feats, shares))
    expected = [term(rows, rows[index], of, of[index], shift)
                for index, shift in ((torch.arange(3), 0.1), (others[0], 0.48), (others[1], 0.48))]
    torch.testing.assert_close(losses['loss_intra'], expected[0])
    torch.testing.assert_close(losses['loss_negative'], (expected[1] + expected[2]) / 2)


def term(f, g, p, q, shift):
    """Of (N, cells, C) features and shares, cell by cell."""
    def cosines(a, b):
        return F.cosine_similarity(a[:, :, None], b[:, None], 3)
    found = cosines(f, g)
    centred = found - found.mean(2, keepdim=True)
    centred = centred - centred.mean() + found.mean()
    return ((centred - shift) * (1 - cosines(p, q))).mean()


@pytest.mark.parametrize('side', [3, 12])
def test_a_shift_may_be_a_quantile(side):
    found = torch.randn(4, side, side, side, side, generator=torch.Generator().manual_seed(0))
    shift = shift_of(found, dict(quantile=0.9))
    assert float((found < shift).float().mean()) == pytest.approx(0.9, abs=0.005)
    feats, codes, others = torch.randn(3, 16, side, side), torch.randn(3, 6, side, side), [torch.tensor([1, 2, 0])]
    shifts = [float(shift_of(centred(correlations(feats, feats[of])), dict(quantile=share)))
              for of, share in ((slice(None), 0.25), (others[0], 0.95))]
    by_shares = model(intra_shift=dict(quantile=0.25), negative_shift=dict(quantile=0.95))
    by_numbers = model(intra_shift=shifts[0], negative_shift=shifts[1])
    assert by_shares.smoothness_losses(feats, codes, others) == by_numbers.smoothness_losses(feats, codes, others)


def test_what_cannot_be():
    with pytest.raises(ValueError, match=r"negative_shift must be a number or dict\(quantile=SHARE\)"):
        model(negative_shift=dict(q=1))
    with pytest.raises(ValueError, match=r'intra_shift.quantile must lie in \[0, 1\]'):
        model(intra_shift=dict(quantile=2))
    with pytest.raises(ValueError, match="clusters.cluster of SmooSeg is a CosineClusterSet: set its type"):
        model('mmseg_unsup.CosineClusterSet')
    with pytest.raises(RuntimeError, match='the teacher was not started'):
        model()([torch.randn(3, 16, 3, 3)], [], mode='loss')
    with pytest.raises(ValueError, match='temperature must be a positive number, but it is 0'):
        model(temperature=0)


def test_a_ramp_is_the_mean_of_what_the_student_was():
    """From the second move on, which counts twice, until a share would be below the momentum."""
    clusters = AveragedSet(4, 3, momentum=0.2, interval=2, ramp=True)
    seen = []
    for step in range(1, 15):
        clusters.student.weight.data.normal_()
        clusters.follow()
        if step % 2 == 0:
            seen.append(clusters.student.weight.data.clone())
        if 2 <= step <= 10:
            counted = seen if len(seen) == 1 else [seen[1], *seen[1:]]
            torch.testing.assert_close(clusters.teacher.weight.data, torch.stack(counted).mean(0))
    mean = torch.stack([seen[1], *seen[1:5]]).mean(0)
    torch.testing.assert_close(clusters.teacher.weight.data, (mean * 0.8 + seen[5] * 0.2) * 0.8 + seen[6] * 0.2)
    clusters.restart()
    assert int(clusters.steps) == 0 and torch.equal(clusters.teacher.weight, clusters.student.weight)
    assert isinstance(clusters.teacher, CosineClusterSet) and not clusters.teacher.weight.requires_grad
