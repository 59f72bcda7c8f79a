"""The map of the cut, and of a network of random weights."""
import os

import cv2
import numpy as np
import pytest

from mmseg_unsup.priors import RBDPrior, SpectralPrior
from mmseg_unsup.priors.features import center
from mmseg_unsup.priors.grabcut import refine_by_grabcut
from mmseg_unsup.priors.spectral import cut_map
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


@pytest.mark.parametrize('inverted', [False, True])
def test_the_object_is_the_side_off_the_border(inverted):
    feats, truth = two_directions()
    if inverted:  # the same cut with the other sign of all features
        feats = -feats
    found = cut_map(center(feats), 0.)
    assert found.min() == 0 and found.max() == 1
    np.testing.assert_array_equal(found > 0.5, truth)
    np.testing.assert_array_equal(cut_map(center(feats), 0.), found)


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


def test_the_affinity_threshold_has_an_effect(backbone):
    image, _ = disc_picture()
    options = dict(backbone=backbone, image_side=128, fusion_weight=1, refine=None)
    first, second = (SpectralPrior(**options, affinity_threshold=t).saliency(image) for t in (0., 0.5))
    assert not np.array_equal(first, second)


def test_refusals(backbone):
    with pytest.raises(ValueError, match='fusion_weight of SpectralPrior must lie in .0, 1., but it is 2'):
        SpectralPrior(backbone, fusion_weight=2)
    with pytest.raises(ValueError, match='affinity_threshold=1 of SpectralPrior is a cosine'):
        SpectralPrior(backbone, affinity_threshold=1)
    with pytest.raises(ValueError, match="refine='crf' of SpectralPrior"):
        SpectralPrior(backbone, refine='crf')


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
