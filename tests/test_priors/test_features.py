"""What reaches a frozen network, and what priors make of its features."""
import cv2
import numpy as np
import pytest
import torch

from mmseg_unsup.functional import mask_log_probabilities, principal_masks, recursive_cut, soft_affinity, token_cut
from mmseg_unsup.priors import FeaturePrior, NormalizedCutPrior, PrincipalMaskPrior, SpectralPrior, TokenCutPrior
from mmseg_unsup.priors import features as features_module
from mmseg_unsup.priors.base import border_contact, number_regions, rescale
from mmseg_unsup.priors.features import center, load_backbone
from mmseg_unsup.priors.grabcut import refine_by_grabcut
from mmseg_unsup.registry import MODELS
from .test_rbd import disc_picture, iou

FEATURE_PRIORS = (SpectralPrior, TokenCutPrior, NormalizedCutPrior, PrincipalMaskPrior)


class Plain(FeaturePrior):
    """Features alone."""

    def saliency(self, image, stem=None):
        raise NotImplementedError


def of_colours(prior):
    """Have a prior see the colours of cells of 16 pixels, and 1, in the place of features."""
    def look(batch):
        seen = torch.nn.functional.avg_pool2d(batch, 16)
        return [torch.cat([seen, torch.ones_like(seen[:, :1])], 1)]

    prior._network = look
    return prior


def test_center():
    feats = np.random.default_rng(0).normal(size=(16, 9, 13))
    centered = center(feats)
    expected = feats[:, 2, 5] - feats.reshape(16, -1).mean(1)
    np.testing.assert_allclose(centered[:, 2, 5], expected / np.linalg.norm(expected), rtol=1e-5)
    assert not center(np.ones((3, 4, 4), np.float32)).any()


def test_pixels_reach_the_network_as_the_weights_expect(backbone):
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    options = dict(backbone=backbone, mean=(1., 2., 3.), std=(4., 5., 6.))

    def pixels(**further):
        return Plain(**options, **further)._pixels(image)[0].transpose(1, 2, 0)

    expected = (image - np.array([1., 2, 3])) / [4, 5, 6]
    np.testing.assert_allclose(pixels(image_side=96), expected, rtol=1e-5)
    np.testing.assert_allclose(pixels(image_side=96, to_rgb=False), expected[..., ::-1], rtol=1e-5)
    assert pixels(image_side=208).shape == (144, 208, 3)  # sides are multiples of 16
    assert Plain(**options)._pixels(image[:1])[0].shape == (3, 32, 400)  # and of two cells at least
    assert Plain(**options)._pixels(image[:1, :1])[0].shape == (3, 400, 400)


def test_features_are_those_of_the_outputs_that_are_named(backbone):
    image, _ = disc_picture()
    network = MODELS.build(dict(type='ResNet', depth=18, base_channels=8, out_indices=(0, 1, 2, 3)))
    network.load_state_dict(torch.load(backbone['init_cfg']['checkpoint']))
    network.eval()
    options = dict(backbone=dict(backbone, type='ResNet'), image_side=128)
    prior = Plain(out='layer3', center=False, **options)
    with torch.no_grad():
        expected = [stage[0].numpy() for stage in network(torch.from_numpy(prior._pixels(image)))]
    np.testing.assert_array_equal(prior.features(image), expected[2])
    np.testing.assert_array_equal(Plain(out='layer3', **options).features(image), center(expected[2]))
    both = Plain(out=['layer2', 'layer2.1.conv2'], center=False, **options).features(image)
    np.testing.assert_allclose(np.linalg.norm(both[:16], axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(both[:16] * np.linalg.norm(expected[1], axis=0), expected[1], rtol=1e-4, atol=1e-6)
    assert (prior.cell, Plain(out='layer2', **options).cell, both.shape[0]) == (16, 8, 32)


def test_sides_are_whole_patches(backbone, monkeypatch):
    class Patches(torch.nn.Module):
        patch_size, fingerprint = 14, 'f'
        network = property(lambda self: self)

        def forward(self, batch):
            return [torch.nn.functional.avg_pool2d(batch, 14)]

    monkeypatch.setattr(features_module, 'load_backbone', lambda *args: Patches())
    prior = Plain(dict(type='any'), image_side=100)
    assert prior.cell == 14 and prior._pixels(np.zeros((50, 80, 3), np.uint8)).shape == (1, 3, 56, 98)


def test_masks_of_features_of_colour(backbone):
    """Each is what its functions give, enlarged."""
    image, truth = disc_picture()
    options = dict(backbone=backbone, image_side=480)
    cut = of_colours(TokenCutPrior(**options, refine=None))
    feats = cut.features(image)
    found = token_cut(feats, 0.)
    small = np.where(found.side & ~found.mask, 0, rescale(found.vector)).astype(np.float32)
    saliency = cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(cut.saliency(image), saliency)
    refined = of_colours(TokenCutPrior(**options, refine_side=60)).saliency(image)
    np.testing.assert_array_equal(refined, refine_by_grabcut(image, saliency, 60))
    assert iou(cut(image) > 0, truth) > 0.85

    several = of_colours(NormalizedCutPrior(**options, max_cut=0.7, max_regions=3))
    ids = recursive_cut(soft_affinity(feats, 4.), 0.7, round(0.01 * feats[0].size), 3).reshape(feats.shape[1:])
    contacts = np.array([border_contact(ids == i) for i in range(ids.max() + 1)])
    assert contacts.min() == 0 and contacts.max() > 1.2
    np.testing.assert_allclose(np.unique(several.saliency(image)), np.unique(np.exp(-contacts**2 / 2)), rtol=1e-5)
    objects = several(image)
    assert set(np.unique(objects)) == set(range((np.exp(-contacts**2 / 2) > 0.5).sum() + 1))
    assert iou(objects > 0, truth) > 0.85

    regions = of_colours(PrincipalMaskPrior(**options, center=True))
    scores = mask_log_probabilities(principal_masks(torch.from_numpy(feats)))
    enlarged = torch.nn.functional.interpolate(scores[None], image.shape[:2], mode='bilinear')[0].argmax(0).numpy()
    np.testing.assert_array_equal(regions(image), number_regions(enlarged - 1, 0.01, 32))
    np.testing.assert_array_equal(regions.saliency(image), regions(image) > 0)
    assert max(iou(regions(image) == i, truth) for i in range(1, 5)) > 0.8


@pytest.mark.parametrize('options, other', [
    (dict(), dict(max_cut=0.01)), (dict(max_cut=1.9), dict(max_cut=1.9, max_regions=2)),
    (dict(max_cut=0.5), dict(max_cut=0.5, exponent=12.))])
def test_options_of_recursive_cuts_have_an_effect(backbone, options, other):
    image, _ = disc_picture()
    first, second = (NormalizedCutPrior(backbone, image_side=128, **given).saliency(image)
                     for given in (options, other))
    assert not np.array_equal(first, second)


def test_options_of_principal_masks_have_an_effect(backbone):
    image, _ = disc_picture()
    first, *others = (PrincipalMaskPrior(backbone, image_side=128, **given)(image)
                      for given in (dict(center=True), dict(), dict(center=True, mask_threshold=0.8),
                                    dict(center=True, covered=0.4), dict(center=True, max_regions=1)))
    assert all(not np.array_equal(first, other) for other in others) and others[3].max() == 1


@pytest.mark.parametrize('prior', FEATURE_PRIORS)
def test_the_record_is_complete(backbone, prior):
    first = prior(backbone, weights_labels='ImageNet labels', image_side=128, center=False)
    record = first.describe()
    assert record['labels'] == 'ImageNet labels' and record['weights'] == first._network.fingerprint != '0' * 16
    parameters = record['parameters']
    assert parameters['backbone']['dilations'] == [1, 1, 1, 2] and parameters['center'] is False
    assert parameters['backbone']['init_cfg']['checkpoint'].endswith('random.pth')
    if prior is PrincipalMaskPrior:  # which takes none
        del parameters['threshold']
    image, _ = disc_picture()
    np.testing.assert_array_equal(prior(**parameters)(image), first(image))


def test_counts_of_batches_are_not_needed(backbone):
    """Some files hold them in another shape, or not at all."""
    path = backbone['init_cfg']['checkpoint']
    state = torch.load(path)
    image = disc_picture()[0]
    first = Plain(backbone, image_side=128)
    counts = [key for key in state if key.endswith('num_batches_tracked')]
    torch.save({**state, **{key: torch.zeros(1, dtype=torch.long) for key in counts}}, path)
    second = Plain(backbone, image_side=128)
    np.testing.assert_array_equal(second.features(image), first.features(image))
    assert first.describe()['weights'] == second.describe()['weights']


def test_refusals(backbone, monkeypatch):
    network = load_backbone(Plain(backbone).backbone)
    for options, message in (
            (dict(backbone=dict(depth=18)), "the backbone 'ResNet' of a prior has no weights: set init_cfg"),
            (dict(backbone=dict(backbone, depth=34)), 'only 126/222 backbone tensors fit'),
            (dict(backbone=dict(backbone, type='ResNet', out_indices=(2, 3))), 'have the sizes .*: choose some of one'),
            (dict(backbone=backbone, out='layer9'), r"out='layer9' is no output of the frozen ResNet: did you mean "
             r"lay"),
            (dict(backbone=backbone, out=7), 'out=7 is no output of the frozen ResNet, which gives 2 maps'),
            (dict(backbone=backbone, image_side=63), 'image_side=63 of Plain must be .*four cells of its network, 64'),
            (dict(backbone=backbone, image_side=2000), 'image_side=2000 of Plain gives up to 15625 cells of 16 pi')):
        with pytest.raises(ValueError, match=message):
            Plain(**options)
    monkeypatch.setattr(features_module, 'load_backbone', lambda *args: network)
    for prior, options, message in (
            (TokenCutPrior, dict(refine='crf'), "refine='crf' of TokenCutPrior: give 'grabcut' or None"),
            (TokenCutPrior, dict(affinity_threshold=1.), 'affinity_threshold=1.0 of TokenCutPrior is a cosine: give a'),
            (NormalizedCutPrior, dict(refine='grabcut'), "refine='grabcut' of NormalizedCutPrior: give 'crf' or None"),
            (NormalizedCutPrior, dict(max_cut=0), 'max_cut of NormalizedCutPrior must be a positive number'),
            (NormalizedCutPrior, dict(max_regions=255), 'max_regions=255 of NormalizedCutPrior: an 8-bit mask holds'),
            (PrincipalMaskPrior, dict(covered=2), r'covered of PrincipalMaskPrior must lie in .0, 1., but it is 2'),
            (PrincipalMaskPrior, dict(mask_threshold=-1), 'mask_threshold of PrincipalMaskPrior must lie in')):
        with pytest.raises(ValueError, match=message):
            prior(backbone, **options)
    monkeypatch.setattr('mmseg_unsup.functional.dense_crf.find_spec', lambda name: None)
    with pytest.raises(ImportError, match='a dense CRF needs pydensecrf'):
        PrincipalMaskPrior(backbone, refine='crf')


def test_outputs_that_are_no_maps(monkeypatch):
    class Attention(torch.nn.Module):
        network = property(lambda self: self)

        def forward(self, batch):
            n = 1 + batch.shape[2] * batch.shape[3] // 256
            return [torch.zeros(1, 2, n, n)]

    monkeypatch.setattr(features_module, 'load_backbone', lambda *args: Attention())
    with pytest.raises(ValueError, match=r'of Plain have the shapes \[\(1, 2, 25, 25\)\] for an image of 96x64 pixels'):
        Plain(dict(type='any'))


def test_weights_that_a_network_converts_by_itself(tmp_path):
    """Backbones with an ``init_weights`` of their own drop what does not fit without a word."""
    path = str(tmp_path / 'a.pth')
    config = dict(type='SwinTransformer', embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2), out_indices=(3, ),
                  init_cfg=dict(type='Pretrained', checkpoint=path))
    state = {name: torch.rand_like(value) for name, value in MODELS.build(dict(config)).named_parameters()}
    torch.save(state, path)
    loaded = dict(load_backbone(config).network.named_parameters())
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
