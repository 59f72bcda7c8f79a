"""A network that labels teach: its loss, what it predicts, and what stays frozen."""
import numpy as np
import pytest
import torch
from mmengine.model import revert_sync_batchnorm
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmseg_unsup.registry import MODELS
from ..test_apis.tiny_models import model_config

K = 3


def taught_config(frozen: bool = False) -> dict:
    cfg = model_config('PiCIE', cluster_sets=['taught'])
    cfg['type'] = 'mmseg_unsup.TaughtSegmentor'
    cfg['decode_head'].update(n_clusters=K, clusters=dict(taught=dict(type='mmseg_unsup.TaughtSet', channels=8)))
    if frozen:
        cfg['backbone'] = dict(type='mmseg_unsup.FrozenBackbone', backbone=cfg['backbone'], keep_in_checkpoint=True)
    return cfg


def build(frozen: bool = False):
    torch.manual_seed(0)
    return revert_sync_batchnorm(MODELS.build(taught_config(frozen))).eval()


def sample(labels: np.ndarray) -> SegDataSample:
    return SegDataSample(gt_sem_seg=PixelData(data=torch.from_numpy(labels)[None]))


@pytest.mark.parametrize('weights', [None, [1.5, 0.25, 4]])
def test_the_loss_is_of_the_pixels_that_have_a_label(weights):
    torch.manual_seed(0)
    model = revert_sync_batchnorm(MODELS.build(dict(taught_config(), class_weight=weights))).eval()
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.normal(size=(2, 3, 32, 32)).astype(np.float32))
    labels = rng.integers(0, K, (2, 32, 32))
    labels[0, :20] = labels[1, :, 5:] = 255
    with torch.no_grad():
        loss = model.loss(images, [sample(of_image) for of_image in labels])['loss_classes'].item()
        feats, taught = model.extract_feat(images)[0], model.decode_head.clusters['taught']
        shares, logits = taught(feats).numpy(), taught.logits(feats)
    large, logits = torch.nn.Upsample(size=(32, 32), mode='bilinear')(logits).double().numpy(), logits.numpy()
    found = np.exp(large) / np.exp(large).sum(1, keepdims=True)
    places = [*zip(*np.nonzero(labels != 255))]
    wanted = -np.average([np.log(found[i, labels[i, y, x], y, x]) for i, y, x in places],
                         weights=[(weights or [1] * K)[labels[place]] for place in places])
    assert loss == pytest.approx(wanted, rel=1e-5)
    np.testing.assert_allclose(shares, np.exp(logits) / np.exp(logits).sum(1, keepdims=True), rtol=1e-5)
    void = model.loss(images, [sample(np.full((32, 32), 255))] * 2)['loss_classes']
    void.backward()
    assert void.item() == 0 and all((p.grad == 0).all() for p in model.parameters() if p.grad is not None)


def test_what_is_frozen_gets_no_gradient_and_all_else_does():
    rng = np.random.default_rng(0)
    images, labels = torch.randn(2, 3, 32, 32), rng.integers(0, K, (2, 32, 32))
    for frozen in (False, True):
        model = build(frozen).train()
        model.loss(images, [sample(of_image) for of_image in labels])['loss_classes'].backward()
        trained = {name.split('.')[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
        assert trained == {'neck', 'decode_head'} | ({'backbone'} if not frozen else set())


def test_a_head_without_classes():
    cfg = taught_config()
    cfg['decode_head']['clusters'] = {}
    with pytest.raises(ValueError, match="sets \\['fresh'\\], but no 'taught': add clusters=dict\\(taught="):
        MODELS.build(cfg)
    with pytest.raises(ValueError, match='model.class_weight has 2 numbers, but there are 3 classes: give one for'):
        MODELS.build(dict(taught_config(), class_weight=[1, 2]))
