"""PriMaPs-EM: the arrays of the released code, and what it refuses."""
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmseg.structures import SegDataSample

from mmseg_unsup.engine.hooks.principal_start_hook import principal_directions
from mmseg_unsup.functional import NO_MASK, majority_labels, warp_ids
from mmseg_unsup.models.clusters import AveragedSet, WeightNormSet
from mmseg_unsup.models.losses import confidence_weighted_loss, mean_confidence
from mmseg_unsup.models.segmentors import PriMaPs
from .test_correspondence_loss import tensors
from .test_stego import GivenTokens  # noqa: F401  registered


def model(neck=None, channels=16, **options) -> PriMaPs:
    cluster = dict(type='mmseg_unsup.AveragedSet', of=dict(type='mmseg_unsup.WeightNormSet'), momentum=0.02, interval=2,
                   ramp=True)
    built = PriMaPs(
        backbone=dict(type='mmseg_unsup.GivenTokens'), neck=neck,
        decode_head=dict(type='mmseg_unsup.ClusterHead', in_channels=channels, n_clusters=5,
                         clusters=dict(cluster=cluster)), **options)
    built.start(is_new=True)
    return built.train()


def samples(n: int, flip: bool = False) -> list:
    return [SegDataSample(metainfo=dict(sample_idx=i, crop_box=(0., 0., 1., 1.), flip=flip)) for i in range(n)]


def six_steps(found: dict, state: str) -> PriMaPs:
    """Of the released training; losses and directions of each step are compared."""
    primaps = model()
    clusters = primaps.clusters['cluster']
    clusters.student.point(found['init/weight_v'][..., 0, 0])
    clusters.restart()
    primaps.is_starting = state == 'baseline'
    optimizer = torch.optim.Adam(clusters.student.parameters(), lr=5e-3)
    for step in range(6):
        primaps.masks = found['mask'][step, :, 0]
        loss, = primaps([found['feats_aug'][step], found['feats'][step]], samples(2), mode='loss').values()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step or primaps.is_starting:  # batches are counted from 0 in the arrays
            primaps.follow(1.)
        expected = found[f'{state}/losses'][step, 1 if state == 'baseline' else 2]
        assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-5)
        moved = clusters.student if state == 'baseline' else clusters.teacher
        torch.testing.assert_close(moved.weight.data, found[f'{state}/cluster_weight_v_per_step'][step][..., 0, 0],
                                   rtol=1e-4, atol=1e-5)
    return primaps


def test_six_steps_of_the_released_code():
    found = tensors('primaps_steps')
    clusters = six_steps(found, 'method').clusters['cluster']
    for value, name in ((clusters.student.weight, 'seghead_weight_v'), (clusters.student.length, 'seghead_weight_g'),
                        (clusters.teacher.length, 'ema_weight_g')):
        torch.testing.assert_close(value.data, found[f'method/{name}'].view_as(value), rtol=1e-4, atol=1e-5)


def test_six_steps_of_the_released_start():
    """The teacher, which predicts, is the student."""
    clusters = six_steps(tensors('primaps_steps'), 'baseline').clusters['cluster']
    assert torch.equal(clusters.teacher.weight, clusters.student.weight) and int(clusters.steps) == 0
    assert torch.equal(clusters.student.length.data, torch.ones(5))


def test_the_probe_of_the_released_code():
    found = tensors('primaps_probes')
    clusters = WeightNormSet(16, 5)
    clusters.point(found['weight_v'][..., 0, 0])
    units = F.normalize(found['x'], dim=1)
    torch.testing.assert_close(clusters(units), found['similarities'], rtol=1e-5, atol=1e-6)
    loss = clusters.loss(found['x'])
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(found['cluster_loss']), rel=1e-5)
    torch.testing.assert_close(clusters.weight.grad, found['grad_weight_v'][..., 0, 0], rtol=1e-4, atol=1e-8)
    assert not clusters.length.grad.any()


def test_the_weights_of_the_released_loss():
    found = tensors('primaps_probes')
    logits = found['focal_logits'].requires_grad_()
    loss = confidence_weighted_loss(logits, found['focal_target'], mean_confidence(logits))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(found['focal_loss']), rel=1e-5)
    torch.testing.assert_close(logits.grad, found['focal_grad'], rtol=1e-4, atol=1e-8)


def test_the_average_of_the_released_code():
    found = tensors('primaps_probes')
    clusters = AveragedSet(4, 3, of=dict(type='mmseg_unsup.WeightNormSet'), momentum=0.02, ramp=True)
    for update in range(60):
        clusters.student.weight.data = found['online_weight_v'][update + 1][..., 0, 0]
        clusters.follow()
        torch.testing.assert_close(clusters.teacher.weight.data, found['ema_weight_v'][update][..., 0, 0], rtol=1e-5,
                                   atol=1e-6)


def test_the_start_of_the_released_code_up_to_sign():
    found = tensors('primaps_pca_init')
    feats = found['feats'].double()
    directions = principal_directions(feats.mean(0), feats.t().cov(correction=0), 5)
    same = (directions * found['weights'].double()).sum(1)
    torch.testing.assert_close(same.abs(), torch.ones(5).double(), atol=1e-5, rtol=0)
    assert (directions @ feats.mean(0) > 0).all()


def test_masks_vote():
    rng = np.random.default_rng(0)
    clusters, masks = rng.integers(4, size=(2, 5, 6)), rng.choice([0, 1, 7, 254, NO_MASK], size=(2, 5, 6))
    found = majority_labels(torch.from_numpy(clusters), torch.from_numpy(masks.astype(np.uint8)), 4).numpy()
    for i in range(2):
        for mask in (0, 1, 7, 254):
            expected = np.bincount(clusters[i][masks[i] == mask], minlength=4).argmax()
            assert (found[i][masks[i] == mask] == expected).all()
    assert (found[masks == NO_MASK] == NO_MASK).all()


def test_labels_go_to_the_place_of_the_view():
    ids = torch.arange(2 * 8 * 8).view(2, 8, 8)
    boxes = torch.tensor([[0.25, 0.5, 0.75, 1.], [0., 0., 1., 1.]])
    found = warp_ids(ids, boxes, torch.tensor([False, True]))
    assert torch.equal(found[0], ids[0, 4:, 2:6].repeat_interleave(2, 0).repeat_interleave(2, 1))
    assert torch.equal(found[1], ids[1].flip(1))


def test_a_flipped_view_of_the_same_image_has_the_same_loss():
    feats = torch.randn(2, 16, 4, 4)
    losses = []
    for flip in (False, True):
        torch.manual_seed(0)
        primaps = model()
        primaps.masks = (torch.arange(16).view(1, 4, 4) // 3).byte().repeat(2, 1, 1)
        losses += primaps([feats.flip(3) if flip else feats, feats], samples(2, flip), mode='loss').values()
    torch.testing.assert_close(*losses)


def test_only_prototypes_train():
    projection = dict(type='mmseg_unsup.ResidualProjection', in_channels=16, out_channels=6, dropout=0.5)
    primaps = model(projection, channels=6)
    feats = torch.randn(2, 16, 4, 4)
    assert torch.equal(primaps.student_map(feats), primaps.student_map(feats))  # without dropout
    primaps.masks = torch.zeros(2, 4, 4, dtype=torch.uint8)
    sum(primaps([feats, feats], samples(2), mode='loss').values()).backward()
    trained = {name for name, parameter in primaps.named_parameters() if parameter.grad is not None}
    assert trained == {f'decode_head.clusters.cluster.student.{name}' for name in ('weight', 'length')}
    assert trained == {name for name, parameter in primaps.named_parameters() if parameter.requires_grad}


def test_prototypes_of_another_method_start_both():
    clusters = AveragedSet(6, 5, of=dict(type='mmseg_unsup.WeightNormSet'))
    weight = torch.randn(5, 6)
    missing = clusters.load_state_dict(dict(weight=weight), strict=False).missing_keys
    assert set(missing) == {'steps', 'student.length', 'teacher.length'}
    assert torch.equal(clusters.student.weight, weight) and torch.equal(clusters.teacher.weight, weight)


def test_what_cannot_be():
    with pytest.raises(RuntimeError, match='PriMaPs learns masks, and there are none: add masks=dict'):
        model()([torch.randn(2, 16, 4, 4)] * 2, samples(2), mode='loss')
    with pytest.raises(ValueError, match='gamma must be a number from 0 on, but it is -1'):
        model(gamma=-1)
