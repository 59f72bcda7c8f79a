"""Predicting with objects, against the steps of the protocol on full maps."""
import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmseg.structures import SegDataSample

from mmseg_unsup.engine import ObjectClusteringHook
from mmseg_unsup.models.segmentors import object_segmentor
from mmseg_unsup.functional import class_map
from mmseg_unsup.priors import Prior
from mmseg_unsup.registry import PRIORS
from .test_mask_contrast import D, SIZE, build, views

METAS = dict(img_shape=(SIZE, SIZE), ori_shape=(60, 72))


@PRIORS.register_module(name='TopLeftPrior', force=True)
class TopLeftPrior(Prior):
    """The bright quarter of a picture."""

    def saliency(self, image, stem=None):
        return (image[..., 0] > 128).astype(np.float32)


@torch.no_grad()
def described(model, *batch):
    """Per image, the descriptors of its objects."""
    return model.forward_maps(*batch).descriptors()



def segmentor(**test_cfg):
    model = build(test_cfg=ConfigDict(test_cfg)).eval()
    model.decode_head.saliency.weight.data.mul_(20)
    return model


def predict(model, inputs):
    with torch.no_grad():
        return model.predict(inputs, [SegDataSample(metainfo=METAS) for _ in inputs])


def maps(model, inputs):
    with torch.no_grad():
        return model._query_branch()(inputs)


def test_one_object_an_image_is_where_the_enlarged_logit_exceeds_the_threshold():
    model, inputs = segmentor(), views(3)[0]
    embeddings, saliency = maps(model, inputs)
    enlarged = F.interpolate(F.interpolate(saliency, (SIZE, SIZE), mode='bilinear'), (60, 72), mode='bilinear')
    for sample, logits, e, s in zip(predict(model, inputs), enlarged, embeddings, saliency[:, 0]):
        assert torch.equal(sample.object_map.data.bool(), logits > 0.5) and sample.object_map.data.any()
        assert torch.equal(sample.pred_sem_seg.data, sample.object_map.data.long()) and sample.n_clusters == 2
        expected = sum(s[y, x] * e[:, y, x] for y in range(6) for x in range(6) if s[y, x] > 0.5)
        torch.testing.assert_close(sample.object_descriptors, F.normalize(expected, dim=0)[None])


def test_components_are_objects_of_their_own():
    model, inputs = segmentor(objects='components', pool='mean', min_area=0.05), views(4, seed=3)[0]
    embeddings, saliency = maps(model, inputs)
    counts = []
    for sample, e, s in zip(predict(model, inputs), embeddings, saliency[:, 0]):
        n, ids = cv2.connectedComponents((s > 0.5).numpy().astype(np.uint8), connectivity=4)
        large = [i for i in range(1, n) if (ids == i).sum() >= 0.05 * 36]
        counts.append(len(large))
        expected = [F.normalize(F.normalize(e, dim=0)[:, ids == i].sum(1), dim=0) for i in large]
        found = sample.object_descriptors
        assert found.shape == (len(large), D) and sample.object_map.data.max() <= len(large)
        for descriptor in expected:  # components may be numbered in another order
            assert (found - descriptor).abs().max(1).values.min() < 1e-5
        centers = F.interpolate(sample.object_map.data[None].float(), (6, 6), mode='nearest-exact')[0, 0]
        assert ((centers > 0) == torch.from_numpy(np.isin(ids, large))).float().mean() > 0.8
    assert max(counts) > 1


def test_a_prior_in_place_of_the_saliency():
    model = segmentor(prior=dict(type='mmseg_unsup.TopLeftPrior', min_area=0.), pool='mean', descriptor='backbone')
    model.data_preprocessor._enable_normalize = False
    inputs = torch.zeros(2, 3, SIZE, SIZE)
    inputs[0, :, :24, :24] = 255  # the second picture has no object
    first, second = predict(model, inputs)
    assert first.object_map.data[0, :29, :35].all() and not first.object_map.data[0, 31:].any()
    assert not second.object_map.data.any() and second.object_descriptors.shape == (0, 64)
    with torch.no_grad():
        feats = F.normalize(model.backbone(inputs)[-1][0], dim=0)
    torch.testing.assert_close(first.object_descriptors[0], F.normalize(feats[:, :3, :3].sum((1, 2)), dim=0))
    assert [len(rows) for rows in described(model, inputs)] == [1, 0]


@pytest.fixture
def masked(tmp_path):
    """Settings of ``test_cfg``, metainfo of three images, of which the last has no mask, and (60, 72) masks."""
    mask = np.zeros((60, 72), np.uint8)
    mask[10:40, 24:60] = 1
    for name, array in (('a', mask), ('b', 1 - mask)):
        cv2.imwrite(str(tmp_path / f'{name}.png'), array)
    metas = [dict(METAS, img_path=f'images/{name}.jpg') for name in 'abc']
    return dict(masks=dict(data_root='images', mask_root=str(tmp_path)), pool='mean'), metas, (mask, 1 - mask)


def test_images_keep_the_masks_they_have(masked):
    test_cfg, metas, masks = masked
    plain, model, inputs = segmentor(pool='mean'), segmentor(**test_cfg), views(3)[0]
    data_samples = [SegDataSample(metainfo=meta) for meta in metas]
    with torch.no_grad():
        found = model.predict(inputs, data_samples)
        embeddings = F.normalize(maps(model, inputs)[0], dim=1)
    for sample, mask, e, rows in zip(found, masks, embeddings, described(model, inputs, metas)):
        shown = sample.object_map.data[0].numpy() > 0
        assert (shown & (mask > 0)).sum() / (shown | (mask > 0)).sum() > 0.95  # through the 48 x 48 of the input
        cells = cv2.resize(mask, (6, 6), interpolation=cv2.INTER_NEAREST_EXACT) > 0
        torch.testing.assert_close(sample.object_descriptors[0], F.normalize(e[:, cells].sum(1), dim=0))
        torch.testing.assert_close(sample.object_descriptors, rows)
    own = predict(plain, inputs)[2]
    assert torch.equal(found[2].object_map.data, own.object_map.data) and own.object_map.data.any()
    torch.testing.assert_close(found[2].object_descriptors, own.object_descriptors)


def test_all_doors_show_the_masks(masked):
    test_cfg, metas, _ = masked
    model, inputs = segmentor(**test_cfg), views(3)[0]
    with torch.no_grad():
        model.clusters['objects'].fit(torch.randn(4, D), torch.zeros(4))
        found = model.predict(inputs, [SegDataSample(metainfo=meta) for meta in metas])
        for i, (sample, scores) in enumerate(zip(found, model.cluster_scores(inputs, metas))):
            clusters = sample.pred_sem_seg.data[0]
            assert torch.equal(class_map(scores, metas[i]), clusters.short()) and clusters.any()
            assert torch.equal(model.assignments(inputs[i:i + 1], metas[i]).clusters, clusters.short())
        # what knows no paths, such as an exported model, has the network's
        torch.testing.assert_close(
            model.cluster_scores(inputs), model._image_scores(*model._read_maps(inputs)))


def test_masks_of_several_objects(masked):
    test_cfg, metas, (mask, _) = masked
    mask[50:58, 2:30] = 1
    cv2.imwrite(f'{test_cfg["masks"]["mask_root"]}/a.png', mask)
    model = segmentor(objects='components', **test_cfg)
    sample, = model.predict(views(1)[0], [SegDataSample(metainfo=metas[0])])
    assert sample.object_map.data.unique().tolist() == [0, 1, 2] and sample.object_descriptors.shape == (2, D)


def test_an_image_without_a_mask_is_told_once(masked, monkeypatch):
    test_cfg, metas, _ = masked
    told = []
    monkeypatch.setattr(object_segmentor, 'say', told.append)
    model, inputs = segmentor(**test_cfg), views(1)[0]
    for meta in (metas[0], metas[2], metas[2]):
        described(model, inputs, [meta])
    start = f'images/c.jpg has no usable mask below {test_cfg["masks"]["mask_root"]}: '
    assert len(told) == 1 and told[0].startswith(start)


def test_clusters_name_the_objects():
    model, inputs = segmentor(), views(3)[0]
    descriptors = np.concatenate(described(model, inputs))
    model.clusters['objects'].fit(torch.from_numpy(descriptors)[[2, 0, 1]], torch.zeros(3))
    for sample, cluster in zip(predict(model, inputs), (1, 2, 0)):
        inside = sample.object_map.data == 1
        assert (sample.pred_sem_seg.data[inside] == 1 + cluster).all() and sample.n_clusters == 4
        assert not sample.pred_sem_seg.data[~inside].any()


def test_clusters_of_objects_travel_with_the_weights():
    module, descriptors = segmentor(), torch.randn(9, 4)
    assert module.clusters['objects'].n_clusters == 1 and not module.cluster_objects(descriptors).any()
    weight, bias = torch.randn(3, 4), torch.randn(3)
    module.clusters['objects'].fit(weight, bias)
    expected = [max(range(3), key=lambda k: float(weight[k] @ row + bias[k])) for row in descriptors]
    other = segmentor()
    module.follow()  # what was fitted is no part of the average
    other.load_state_dict(module.state_dict())
    assert other.clusters['objects'].n_clusters == 3 and other.cluster_objects(descriptors).tolist() == expected
    module.clusters['objects'].fit(None)
    other.load_state_dict(module.state_dict())
    assert other.clusters['objects'].n_clusters == 1


def test_clusters_of_other_descriptors():
    model, inputs = segmentor(descriptor='backbone', pool='mean'), views(3)[0]
    model.clusters['objects'].fit(torch.randn(3, D), torch.zeros(3))
    assert not ObjectClusteringHook(n_clusters=3).is_fitted(model)
    with pytest.raises(ValueError, match=f'descriptors with {D} channels, but .*backbone.* has 64: set '
                       '.*refit_on_test'):
        predict(model, inputs)
    model.clusters['objects'].fit(torch.randn(3, 64), torch.zeros(3))
    assert ObjectClusteringHook(n_clusters=3).is_fitted(model)
    assert not ObjectClusteringHook(n_clusters=4).is_fitted(model)


@pytest.mark.parametrize('test_cfg, message', [
    (dict(objects='pixels'), "model.test_cfg.objects='pixels' is not one of"),
    (dict(pool='max'), "model.test_cfg.pool='max' is not one of"),
    (dict(mode='slide'), "model.test_cfg.mode='slide' is not one of"),
    (dict(min_area=1.), 'model.test_cfg.min_area is a share of the image'),
    (dict(thresh=1), "model.test_cfg has no setting 'thresh'"),
    (dict(descriptor='backbone'), "model.test_cfg.descriptor='backbone' goes with pool='mean'"),
    (dict(prior=dict(type='mmseg_unsup.RBDPrior')), "model.test_cfg.prior=.* goes with pool='mean'"),
    (dict(masks=dict(data_root='a', mask_root='b')), "model.test_cfg.masks=.* goes with pool='mean'"),
    (dict(masks=dict(data_root='a'), pool='mean'), 'model.test_cfg.masks is None or a dict of data_root and mask_root'),
    (dict(masks=dict(data_root='a', mask_root='b'), prior=dict(type='mmseg_unsup.RBDPrior'), pool='mean'),
     'model.test_cfg.prior and model.test_cfg.masks both say'),
])
def test_bad_settings(test_cfg, message):
    with pytest.raises(ValueError, match=message):
        segmentor(**test_cfg)
