"""The cut against a dense solver; the map of a network of random weights."""
import os

import cv2
import numpy as np
import pytest
import torch
from scipy.linalg import eigh

from mmseg_unsup.priors import RBDPrior, SpectralPrior
from mmseg_unsup.priors.grabcut import refine_by_grabcut
from mmseg_unsup.priors.spectral import center, cut_map, load_backbone, normalized_cut
from mmseg_unsup.registry import MODELS
from ..conftest import shared_file
from .test_rbd import disc_picture, iou


def two_directions(height=9, width=13, noise=0.3, seed=0):
    """Features (16, h, w) of an object inside and of a ground, and the object."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((height, width), bool)
    truth[3:7, 4:9] = True
    means = rng.normal(size=(2, 16))
    feats = means[truth.astype(int)] + noise * rng.normal(size=(height, width, 16))
    return feats.transpose(2, 0, 1).astype(np.float32), truth


@pytest.mark.parametrize('threshold', [0., 0.3])
def test_the_cut_equals_a_dense_solver(threshold):
    feats = center(two_directions(noise=0.8)[0])
    rows = feats.reshape(16, -1).T.astype(np.float64)
    affinity = np.where(rows @ rows.T > threshold, 1., 1e-5)
    degree = np.diag(affinity.sum(1))
    values, vectors = eigh(degree - affinity, degree)
    assert values[0] == pytest.approx(0, abs=1e-9) and values[2] - values[1] > 1e-4  # the second one is unique
    found = normalized_cut(feats, threshold).ravel()
    found, expected = found / np.linalg.norm(found), vectors[:, 1] / np.linalg.norm(vectors[:, 1])
    assert abs(found @ expected) == pytest.approx(1, abs=1e-6)


def test_center():
    feats = two_directions()[0]
    centered = center(feats)
    y, x = 2, 5
    expected = feats[:, y, x] - feats.reshape(16, -1).mean(1)
    np.testing.assert_allclose(centered[:, y, x], expected / np.linalg.norm(expected), rtol=1e-5)
    assert not center(np.ones((3, 4, 4), np.float32)).any()


@pytest.mark.parametrize('inverted', [False, True])
def test_the_object_is_the_side_off_the_border(inverted):
    feats, truth = two_directions()
    if inverted:  # the same cut with the other sign of all features
        feats = -feats
    found = cut_map(center(feats), 0.)
    assert found.min() == 0 and found.max() == 1
    np.testing.assert_array_equal(found > 0.5, truth)
    np.testing.assert_array_equal(cut_map(center(feats), 0.), found)


@pytest.fixture
def backbone(tmp_path):
    """Config of a ResNet-18 with random weights in a file."""
    torch.manual_seed(0)
    config = dict(depth=18, base_channels=8)
    network = MODELS.build(dict(type='ResNet', **config))
    torch.save(network.state_dict(), tmp_path / 'random.pth')
    return dict(config, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'random.pth')))


def test_fusion_weight_and_refinement(backbone):
    image, truth = disc_picture()
    other = RBDPrior(refine=None).saliency(image)
    options = dict(backbone=backbone, image_side=128, refine=None)
    cut = SpectralPrior(**options, fusion_weight=1).saliency(image)
    mixed = SpectralPrior(**options, fusion_weight=0.25)
    np.testing.assert_allclose(mixed.saliency(image), 0.25 * cut + 0.75 * other, atol=1e-6)
    np.testing.assert_array_equal(mixed.saliency(image), mixed.saliency(image))
    refined = SpectralPrior(**dict(options, refine='grabcut'), fusion_weight=0.25, refine_side=60)
    np.testing.assert_allclose(refined.saliency(image), refine_by_grabcut(image, mixed.saliency(image), 60), atol=1e-6)
    np.testing.assert_allclose(SpectralPrior(**options, fusion_weight=0).saliency(image), other, atol=1e-6)
    fused = dict(type='mmseg_unsup.RBDPrior', refine=None, n_superpixels=60)
    np.testing.assert_allclose(
        SpectralPrior(**options, fusion_weight=0, fused_with=fused).saliency(image),
        RBDPrior(refine=None, n_superpixels=60).saliency(image), atol=1e-6)


def test_pixels_reach_the_network_as_the_weights_expect(backbone):
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    seen = []

    def look(prior):
        prior._backbone = lambda batch: seen.append(batch) or [torch.randn(1, 4, 4, 6)]
        prior._features(image)
        return seen[-1][0].permute(1, 2, 0).numpy()

    options = dict(backbone=backbone, mean=(1., 2., 3.), std=(4., 5., 6.))
    expected = (image - np.array([1., 2, 3])) / [4, 5, 6]
    np.testing.assert_allclose(look(SpectralPrior(**options, image_side=96)), expected, rtol=1e-5)
    np.testing.assert_allclose(look(SpectralPrior(**options, image_side=96, to_rgb=False)), expected[..., ::-1],
                               rtol=1e-5)
    assert look(SpectralPrior(**options, image_side=208)).shape == (144, 208, 3)  # sides are multiples of 16


def test_the_affinity_threshold_has_an_effect(backbone):
    image, _ = disc_picture()
    options = dict(backbone=backbone, image_side=128, fusion_weight=1, refine=None)
    first, second = (SpectralPrior(**options, affinity_threshold=t).saliency(image) for t in (0., 0.5))
    assert not np.array_equal(first, second)


def test_the_record_says_what_the_weights_have_seen(backbone):
    record = SpectralPrior(backbone, weights_labels='ImageNet labels').describe()
    assert record['labels'] == 'ImageNet labels' and SpectralPrior(backbone).labels == 'unknown'
    assert record['parameters']['backbone']['dilations'] == [1, 1, 1, 2]
    assert record['parameters']['backbone']['init_cfg']['checkpoint'].endswith('random.pth')


def test_counts_of_batches_are_not_needed(backbone):
    """Some files hold them in another shape, or not at all."""
    path = backbone['init_cfg']['checkpoint']
    state = torch.load(path)
    image = disc_picture()[0]
    first = SpectralPrior(backbone, image_side=128).saliency(image)
    counts = [key for key in state if key.endswith('num_batches_tracked')]
    torch.save({**state, **{key: torch.zeros(1, dtype=torch.long) for key in counts}}, path)
    np.testing.assert_array_equal(SpectralPrior(backbone, image_side=128).saliency(image), first)


def test_refusals(backbone):
    with pytest.raises(ValueError, match='has no weights: set init_cfg'):
        SpectralPrior(dict(depth=18))
    with pytest.raises(ValueError, match='only 126/222 backbone tensors fit'):
        SpectralPrior(dict(backbone, depth=34))
    with pytest.raises(ValueError, match='fusion_weight=2'):
        SpectralPrior(backbone, fusion_weight=2)
    with pytest.raises(ValueError, match="refine='crf' of SpectralPrior"):
        SpectralPrior(backbone, refine='crf')
    several = dict(backbone, type='ResNet', out_indices=(2, 3))
    with pytest.raises(ValueError, match='choose stages of one stride'):
        SpectralPrior(several, image_side=128).saliency(disc_picture()[0])


def test_weights_that_a_network_converts_by_itself(tmp_path):
    """Backbones with an ``init_weights`` of their own drop what does not fit without a word."""
    path = str(tmp_path / 'a.pth')
    config = dict(type='SwinTransformer', embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2), out_indices=(3, ),
                  init_cfg=dict(type='Pretrained', checkpoint=path))
    state = {name: torch.rand_like(value) for name, value in MODELS.build(dict(config)).named_parameters()}
    torch.save(state, path)
    loaded = dict(load_backbone(config).named_parameters())
    assert all(torch.equal(loaded[name], value) for name, value in state.items())
    wide = dict(MODELS.build(dict(config, embed_dims=16)).named_parameters())
    other = {f'a.{name}': value for name, value in state.items()}
    for content, message in ((other, f'only 0 of the {len(state)} parameters of Swin'),
                             (wide, 'a.pth does not fit the backbone SwinTransformer .size mismatch for norm3'),
                             (dict(state_dict={}), 'holds no tensors')):
        torch.save(content, path)
        with pytest.raises(ValueError, match=message):
            load_backbone(config)
    for init_cfg in (dict(type='Kaiming', layer='Conv2d'), [], dict(checkpoint=path)):
        with pytest.raises(ValueError, match='has no weights: set init_cfg'):
            load_backbone(dict(config, init_cfg=init_cfg))


def test_a_trained_network_finds_an_object(resnet18_weights):
    path = shared_file('data', 'ecssd', 'images', 'dev')
    names = sorted(os.listdir(path))[:6]
    init_cfg = dict(type='Pretrained', checkpoint=resnet18_weights)
    prior = SpectralPrior(dict(depth=18, init_cfg=init_cfg), weights_labels='ImageNet labels')
    scores = []
    for name in names:
        image = np.ascontiguousarray(cv2.imread(f'{path}/{name}')[..., ::-1])
        label = cv2.imread(f'{path}/{name}'.replace('images', 'labels').replace('.jpg', '.png'), 0) > 0
        scores.append(iou(prior(image) > 0, label))
    assert np.mean(scores) > 0.5
