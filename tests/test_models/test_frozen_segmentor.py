"""Clusters of frozen features: what the prediction is made of, and that nothing trains."""
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmseg.structures import SegDataSample

from mmseg_unsup.registry import MODELS
from .test_frozen_backbone import frozen_cfg, images, weights  # noqa: F401 -- fixtures

PREPROCESSOR = dict(type='mmseg_unsup.MultiViewDataPreProcessor', mean=[0.] * 3, std=[1.] * 3)


def build(weights, **test_cfg):  # noqa: F811
    model = MODELS.build(dict(
        type='mmseg_unsup.FrozenSegmentor', data_preprocessor=PREPROCESSOR, backbone=frozen_cfg(weights),
        neck=dict(type='mmseg_unsup.LateralSumNeck', in_channels=[8, 16, 32, 64], out_channels=6),
        decode_head=dict(type='mmseg_unsup.ClusterHead', in_channels=6, n_clusters=3),
        test_cfg=ConfigDict(mode='whole', cluster_sets=['fresh'], **test_cfg)))
    torch.manual_seed(2)
    model.init_weights()
    torch.nn.init.normal_(model.neck.laterals[0].bias)
    model.clusters['fresh'].fit(F.normalize(torch.randn(3, 6), dim=1))
    return model.eval()


def test_the_flip_average_predicts_and_is_not_clustered(weights, images):  # noqa: F811
    plain, flipping = build(weights), build(weights, flip=True)
    flipping.load_state_dict(plain.state_dict())
    with torch.no_grad():
        straight = plain.neck(plain.backbone(images))[0]
        mirrored = plain.neck(plain.backbone(images.flip(3)))[0].flip(3)
        mean = (straight + mirrored) / 2
        centers = plain.clusters['fresh'].weight
        expected = torch.einsum('kc,nchw->nkhw', centers, F.normalize(mean, dim=1)) - centers.square().sum(1)[
            :, None, None] / 2
        torch.testing.assert_close(flipping.cluster_scores(images), expected, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(plain.cluster_scores(images), expected, atol=1e-3)
        for model in (plain, flipping):
            assert torch.equal(model.forward_maps(images).feats['features'], F.normalize(straight, dim=1))
            assert torch.equal(model.predicting_map(images), straight)
        meta = dict(img_shape=(64, 64), ori_shape=(64, 64))
        found, _ = flipping.predict(images, [SegDataSample(metainfo=meta) for _ in images])
    enlarged = F.interpolate(expected, (64, 64), mode='bilinear', align_corners=False)
    assert torch.equal(found.pred_sem_seg.data[0], enlarged[0].argmax(0))


def test_copies_of_other_sizes_predict_on_the_grid_of_the_first(weights, images):  # noqa: F811
    plain, averaging = build(weights), build(weights, scales=[1, 1.5], flip=True)
    averaging.load_state_dict(plain.state_dict())
    large = F.interpolate(images, (96, 96), mode='bicubic', align_corners=False)
    with torch.no_grad():
        maps = [plain.neck(plain.backbone(copies))[0] for copies in (images, large)]
        mirrored = [plain.neck(plain.backbone(copies.flip(3)))[0].flip(3) for copies in (images, large)]
        means = [(straight + other) / 2 for straight, other in zip(maps, mirrored)]
        smaller = F.interpolate(means[1], maps[0].shape[2:], mode='bilinear', align_corners=False)
        expected = (means[0] + smaller) / 2
        found = averaging.averaged_feat(images)[0]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(means[0], expected, atol=1e-3)
        scores = plain.decode_head((expected, ))
        torch.testing.assert_close(averaging.cluster_scores(images), scores, rtol=1e-4, atol=1e-5)
        assert torch.equal(averaging.predicting_map(images), maps[0])


@pytest.mark.parametrize('scales', [[0], [1, 'large'], 1.4, [1, float('inf')]])
def test_scales_that_are_none(weights, scales):  # noqa: F811
    with pytest.raises(ValueError, match=r'model\.test_cfg\.scales=.*: give factors of the size of an image'):
        build(weights, scales=scales)


def test_nothing_trains(weights, images):  # noqa: F811
    model = build(weights)
    with pytest.raises(RuntimeError, match='a FrozenSegmentor has nothing to train: fit its clusters by mmseg-unsup'):
        model(images, [], mode='loss')
    config = frozen_cfg(weights)['backbone']
    with pytest.raises(TypeError, match='model.backbone of FrozenSegmentor is a ResNet, which trains: put it into'):
        MODELS.build(dict(
            type='mmseg_unsup.FrozenSegmentor', backbone=config, decode_head=dict(
                type='mmseg_unsup.ClusterHead', in_channels=64, n_clusters=3)))
