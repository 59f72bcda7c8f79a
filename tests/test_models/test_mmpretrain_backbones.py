"""Backbones of mmpretrain: files of others load into them wholly, and give the features of the others' networks."""
import logging
import sys

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from torch import nn

from mmseg_unsup.models.backbones import DINOViT, dino_vit_config
from mmseg_unsup.registry import MODELS
from mmseg_unsup.weights import check_unchanged, weights_seen
from ..mmpretrain_pair import mmpretrain_pair  # noqa: F401

pytestmark = pytest.mark.usefixtures('mmpretrain_pair')
CHANNELS = 24
SMALL_VIT = dict(embed_dims=CHANNELS, num_layers=2, num_heads=3, feedforward_channels=40)
STAGES = dict(depths=[1, 1, 2, 1], channels=[8, 12, 16, 20])


def vit_cfg(**settings) -> dict:
    return dict(type='mmpretrain.VisionTransformer', arch=SMALL_VIT, img_size=64, patch_size=16, out_type='featmap',
                out_indices=[1]) | settings


def convnext_cfg(**settings) -> dict:
    return dict(type='mmpretrain.ConvNeXt', arch=STAGES, out_indices=(0, 1, 2, 3),
                gap_before_final_norm=False) | settings


@pytest.fixture
def lines():
    """What is logged."""
    messages, handler = [], logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield messages
    logger.removeHandler(handler)


def load(cfg: dict, content: dict, path, **options):
    torch.save(content, path)
    init_cfg = dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=str(path), **options)
    module = MODELS.build(dict(cfg, init_cfg=init_cfg))
    module.init_weights()
    check_unchanged(module, 'backbone')  # they have initialisers of their own, which run later
    module.eval()
    return module


@pytest.mark.parametrize('settings, message', [
    (dict(arch=dict(SMALL_VIT, num_layers=3)), 'holds 2 blocks, and the config builds 3.*arch'),
    (dict(layer_scale_init_value=1e-5), 'has layer scale, .* the file holds none.*layer_scale_init_value=0'),
    (dict(patch_size=8, img_size=32), 'of patches of 16 px, .* one of 8 px.*patch_size=16'),
    (dict(arch=dict(SMALL_VIT, embed_dims=12)), r'the widths differ; cls_token is \(1, 1, 24\).*arch'),
])
def test_a_wrong_transformer_says_why(tmp_path, settings, message):
    state = MODELS.build(vit_cfg()).state_dict()
    with pytest.raises(ValueError, match=message):
        load(vit_cfg(**settings), state, tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='by the names of timm, transformers or mmpretrain, .* name an official file'):
        load(dict(type='mmseg_unsup.DINOViT'), state, tmp_path / 'x.pth')


def test_files_of_dino_are_for_our_transformer(tmp_path):
    state = DINOViT('dino', SMALL_VIT).state_dict()
    with pytest.raises(ValueError, match=r"backbone to dict\(type='mmseg_unsup.DINOViT', family='dino', arch="):
        load(vit_cfg(), state, tmp_path / 'x.pth')


@pytest.mark.parametrize('grid', [3, 7])
def test_positions_of_another_grid_are_interpolated_as_mmpretrain_does(tmp_path, lines, grid):
    from mmpretrain.models.utils import resize_pos_embed
    state = MODELS.build(vit_cfg()).state_dict()
    state['pos_embed'] = torch.randn(1, 1 + grid**2, CHANNELS)
    model = load(vit_cfg(), state, tmp_path / 'x.pth')
    assert torch.equal(model.pos_embed, resize_pos_embed(state['pos_embed'], (grid, grid), (4, 4)))
    assert f'init: {1 + grid**2} position embeddings interpolated to 17' in lines
    state['pos_embed'] = torch.ones(1, 19, CHANNELS)
    with pytest.raises(ValueError, match=r'\(1, 19, 24\), holds no square grid'):
        load(vit_cfg(), state, tmp_path / 'x.pth')


def test_frozen_it_gives_its_map_and_outputs_by_name(tmp_path):
    torch.save(MODELS.build(vit_cfg()).state_dict(), tmp_path / 'x.pth')
    init_cfg = dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=str(tmp_path / 'x.pth'))
    frozen = MODELS.build(dict(type='mmseg_unsup.FrozenBackbone', backbone=vit_cfg(init_cfg=init_cfg)))
    frozen.init_weights()
    images = torch.randn(1, 3, 64, 96)
    last = frozen.network.ln1(frozen.named_outputs(images, ['layers.1'])['layers.1'])
    assert [*frozen.state_dict()] == ['identity']
    torch.testing.assert_close(frozen(images)[0], last[:, 1:].mT.reshape(1, CHANNELS, 4, 6))


@pytest.mark.parametrize('settings', [dict(), dict(init_values=1.)])
def test_files_of_timm_are_those_of_dino(tmp_path, settings):
    """Its plain transformers have the official names; it interpolates positions with antialias."""
    timm = pytest.importorskip('timm')
    theirs = timm.models.vision_transformer.VisionTransformer(
        img_size=64, patch_size=16, embed_dim=64, depth=2, num_heads=1, num_classes=3, dynamic_img_size=True,
        **settings).eval()
    torch.save(theirs.state_dict(), tmp_path / 'x.pth')
    ours = MODELS.build(dict(dino_vit_config(str(tmp_path / 'x.pth')), antialias=True))
    ours.init_weights()
    for size in (64, 96):
        images = torch.randn(1, 3, size, size)
        expected = theirs.forward_features(images)[:, 1:].mT.reshape(1, 64, size // 16, -1)
        torch.testing.assert_close(ours.eval()(images)[0], expected, atol=1e-5, rtol=1e-5)


@pytest.fixture(scope='module')
def convnext(mmpretrain_pair):  # noqa: F811
    """A ConvNeXt of torchvision with random tensors."""
    import torchvision
    from torchvision.models.convnext import CNBlockConfig
    (a, b, c, d), depths = STAGES['channels'], STAGES['depths']
    setting = [CNBlockConfig(*of_stage) for of_stage in zip((a, b, c, d), (b, c, d, None), depths)]
    torch.manual_seed(0)
    model = torchvision.models.ConvNeXt(setting, num_classes=5).eval()
    for value in model.state_dict().values():
        value.copy_(0.3 * torch.randn(value.shape))
    return model


def convnext_file(kind: str, state: dict) -> dict:
    """torchvision's tensors under the names of others, written out."""
    if kind == 'torchvision':
        return state
    block = dict(official=('stages.{}.{}.', 'dwconv', 'norm', 'pwconv1', 'pwconv2', 'gamma'),
                 timm=('stages.{}.blocks.{}.', 'conv_dw', 'norm', 'mlp.fc1', 'mlp.fc2', 'gamma'),
                 mmpretrain=('stages.{}.{}.', 'depthwise_conv', 'norm', 'pointwise_conv1', 'pointwise_conv2',
                             'gamma'))[kind]
    names = dict(zip(('block.0', 'block.2', 'block.3', 'block.5', 'layer_scale'), block[1:]))
    stem, down, norm, linear = dict(
        official=('downsample_layers.0.', 'downsample_layers.{}.', 'norm.', 'head.'),
        timm=('stem.', 'stages.{}.downsample.', 'head.norm.', 'head.fc.'),
        mmpretrain=('downsample_layers.0.', 'downsample_layers.{}.', 'norm3.', 'head.fc.'))[kind]
    file = {}
    for name, value in state.items():
        first, second, *rest = name.split('.')
        if first == 'classifier':
            new = {'0': norm, '2': linear}[second] + rest[0]
        elif int(second) % 2 == 0:
            new = (down.format(int(second) // 2) if second != '0' else stem) + '.'.join(rest)
        else:
            part = '.'.join(rest[1:3]) if rest[1] == 'block' else 'layer_scale'
            new = block[0].format(int(second) // 2, rest[0]) + '.'.join([names[part], *rest[3:]])
        file[new] = value.flatten() if 'layer_scale' in name else value
    if kind == 'mmpretrain':
        return dict(state_dict={name if name.startswith('head') else f'backbone.{name}': value
                                for name, value in file.items()})
    return dict(model=file) if kind == 'official' else file


@pytest.mark.parametrize('kind', ['torchvision', 'official', 'timm', 'mmpretrain'])
def test_official_convnexts(tmp_path, lines, convnext, kind):
    model = load(convnext_cfg(), convnext_file(kind, convnext.state_dict()), tmp_path / 'x.pth')
    n = len(convnext.state_dict()) - 2  # without the classifier
    assert any(line.startswith(f'init: loaded {n}/{n} backbone tensors (6 tensors of norms of inner outputs are not in')
               for line in lines)
    x = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    feats, expected = model(x), []
    for stage in range(4):
        x = convnext.features[2 * stage + 1](convnext.features[2 * stage](x))
        norm = convnext.classifier[0] if stage == 3 else nn.LayerNorm(x.size(1), eps=1e-6)
        expected.append(F.layer_norm(x.permute(0, 2, 3, 1), norm.weight.shape, norm.weight, norm.bias, 1e-6))
    for found, level in zip(feats, expected):
        torch.testing.assert_close(found, level.permute(0, 3, 1, 2))


def test_a_checkpoint_of_ours_must_hold_every_norm(tmp_path):
    model = MODELS.build(convnext_cfg())
    state = {f'backbone.{name}': torch.ones_like(value) for name, value in model.state_dict().items()}
    load(convnext_cfg(), dict(state_dict=state), tmp_path / 'x.pth')
    del state['backbone.norm1.weight']
    with pytest.raises(ValueError, match='missing from the file 1 .such as norm1.weight'):
        load(convnext_cfg(), dict(state_dict=state), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='holds 5 blocks, and the config builds 6.*model.backbone.arch'):
        load(convnext_cfg(arch=dict(STAGES, depths=[1, 2, 2, 1])), dict(state_dict=state), tmp_path / 'x.pth')


def test_resnets_are_those_of_mmseg(tmp_path):
    cfg = dict(depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='BN'))
    mmseg = MODELS.build(dict(cfg, type='ResNet'))
    mmseg.eval()
    state = {name: torch.rand_like(value) if value.is_floating_point() else value
             for name, value in mmseg.state_dict().items()}
    mmseg.load_state_dict(state)
    model = load(dict(cfg, type='mmpretrain.ResNet', out_indices=(0, 1, 2, 3)),
                 state | {'fc.weight': torch.ones(10, 64), 'fc.bias': torch.ones(10)}, tmp_path / 'x.pth')
    assert model.zero_init_residual  # which would set these to zero after the file was read
    assert torch.equal(model.layer4[1].bn2.weight, state['layer4.1.bn2.weight'])
    images = torch.randn(1, 3, 64, 96)
    assert all(torch.equal(a, b) for a, b in zip(model(images), mmseg(images)))


@pytest.mark.parametrize('missing', ['mmpretrain', 'torchvision'])
def test_without_mmpretrain_the_extra_is_named(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    head = dict(type='mmseg_unsup.ClusterHead', in_channels=4, n_clusters=2)
    neck = dict(type='mmseg_unsup.LateralSumNeck', in_channels=[8, 16, 32, 64], out_channels=4)
    cfg = dict(type='mmseg_unsup.PiCIE', neck=neck, decode_head=head)
    with pytest.raises(ImportError, match=rf'mmpretrain.ResNet needs .*{missing}.*"mmseg-unsup\[mmpretrain\]"'):
        MODELS.build(dict(cfg, backbone=dict(type='mmpretrain.ResNet', depth=18)))
    MODELS.build(dict(cfg, backbone=dict(type='ResNet', depth=18)))


def test_published_weights_say_what_they_have_seen():
    host = 'https://dl.fbaipublicfiles.com'
    for path in ('moco/moco_checkpoints/moco_v2_800ep/x.pth.tar', 'dino/dino_deitsmall16_pretrain/x.pth',
                 'dinov2/dinov2_vits14/x.pth', 'mae/pretrain/x.pth'):
        assert weights_seen(f'{host}/{path}') == 'none'
    assert weights_seen(f'{host}/convnext/convnext_tiny_1k_224_ema.pth') == 'ImageNet labels'
    assert weights_seen(f'{host}/mae/finetune/x.pth') == weights_seen('dino/x.pth') == 'unknown'
