"""Backbones of mmpretrain: files of others load into them wholly, and give the features of the others' networks."""
import logging
import sys

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from torch import nn

from mmseg_unsup.weights import check_unchanged, match_tensors, read_part, weights_seen
from mmseg_unsup.registry import MODELS
from ..mmpretrain_pair import mmpretrain_pair  # noqa: F401

pytestmark = pytest.mark.usefixtures('mmpretrain_pair')
CHANNELS, HEADS, LAYERS = 24, 3, 2
SMALL_VIT = dict(embed_dims=CHANNELS, num_layers=LAYERS, num_heads=HEADS, feedforward_channels=40)
STAGES = dict(depths=[1, 1, 2, 1], channels=[8, 12, 16, 20])
LAYER_SCALE = dict(layer_scale_init_value=1e-5)


def vit_cfg(**settings) -> dict:
    return dict(type='mmpretrain.VisionTransformer', arch=SMALL_VIT, img_size=64, patch_size=16, out_type='featmap',
                out_indices=[LAYERS - 1]) | settings


def convnext_cfg(**settings) -> dict:
    return dict(type='mmpretrain.ConvNeXt', arch=STAGES, out_indices=(0, 1, 2, 3),
                gap_before_final_norm=False) | settings


def official_vit(layer_scale: bool = False, patch: int = 16, grid: int = 4, channels: int = CHANNELS) -> dict:
    """Random tensors by the names of DINO, DINOv2, MAE and timm."""
    def tensor(*shape):
        return 0.3 * torch.randn(shape, generator=generator)

    generator = torch.Generator().manual_seed(0)
    state = {'cls_token': tensor(1, 1, channels), 'pos_embed': tensor(1, 1 + grid**2, channels),
             'patch_embed.proj.weight': tensor(channels, 3, patch, patch), 'patch_embed.proj.bias': tensor(channels)}
    sizes = {'attn.qkv': (3 * channels, channels), 'attn.proj': (channels, channels), 'mlp.fc1': (40, channels),
             'mlp.fc2': (channels, 40), 'norm1': (channels, ), 'norm2': (channels, )}
    for i in range(LAYERS):
        for name, size in sizes.items():
            state[f'blocks.{i}.{name}.weight'], state[f'blocks.{i}.{name}.bias'] = tensor(*size), tensor(size[0])
        if layer_scale:
            state.update({f'blocks.{i}.ls{j}.gamma': tensor(channels) for j in (1, 2)})
    return state | {'norm.weight': tensor(channels), 'norm.bias': tensor(channels)}


def official_forward(state: dict, images: torch.Tensor) -> torch.Tensor:
    """The last patch tokens as a map, written out from the papers."""
    def linear(name, x):
        return x @ state[f'{name}.weight'].t() + state[f'{name}.bias']

    def norm(name, x):
        mean, var = x.mean(-1, keepdim=True), x.var(-1, correction=0, keepdim=True)
        return (x - mean) / (var + 1e-6).sqrt() * state[f'{name}.weight'] + state[f'{name}.bias']

    patch = state['patch_embed.proj.weight'].size(-1)
    n, (h, w) = len(images), (side // patch for side in images.shape[2:])
    cells = images.reshape(n, 3, h, patch, w, patch).permute(0, 2, 4, 1, 3, 5).reshape(n, h * w, -1)
    x = cells @ state['patch_embed.proj.weight'].flatten(1).t() + state['patch_embed.proj.bias']
    grid = round((state['pos_embed'].size(1) - 1)**0.5)
    of_class, of_cells = state['pos_embed'][:, :1], state['pos_embed'][:, 1:]
    of_cells = of_cells.reshape(1, grid, grid, -1).permute(0, 3, 1, 2)
    of_cells = F.interpolate(of_cells, (h, w), mode='bicubic').flatten(2).transpose(1, 2)
    x = torch.cat([(state['cls_token'] + of_class).expand(n, -1, -1), x + of_cells], 1)
    for i in range(LAYERS):
        block = f'blocks.{i}'
        q, k, v = linear(f'{block}.attn.qkv', norm(f'{block}.norm1', x)).reshape(n, -1, 3, HEADS, 8).unbind(2)
        attention = torch.einsum('nqhc,nkhc->nhqk', q, k) / 8**0.5
        out = torch.einsum('nhqk,nkhc->nqhc', attention.softmax(-1), v).flatten(2)
        x = x + linear(f'{block}.attn.proj', out) * state.get(f'{block}.ls1.gamma', 1.)
        hidden = linear(f'{block}.mlp.fc1', norm(f'{block}.norm2', x))
        hidden = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
        x = x + linear(f'{block}.mlp.fc2', hidden) * state.get(f'{block}.ls2.gamma', 1.)
    return norm('norm', x)[:, 1:].transpose(1, 2).reshape(n, -1, h, w)


def as_file(kind: str, state: dict) -> dict:
    """The contents of a file as its authors publish it."""
    if kind == 'mae':
        decoder = {'mask_token': torch.ones(1, 1, 8), 'decoder_pos_embed': torch.ones(1, 17, 8),
                   'decoder_blocks.0.norm1.weight': torch.ones(8), 'decoder_pred.bias': torch.ones(8)}
        return dict(model={**state, **decoder})
    if kind == 'dino, teacher and student':
        teacher = {f'backbone.{name}': value for name, value in state.items()} | {'head.mlp.0.bias': torch.ones(8)}
        student = {f'module.{name}': value + 1 for name, value in teacher.items()}
        return dict(student=student, teacher=teacher, epoch=100)
    if kind == 'dinov2':
        return dict(state, mask_token=torch.ones(1, CHANNELS))
    classifier = {'head.weight': torch.ones(10, CHANNELS), 'head.bias': torch.ones(10)}
    return state | classifier if kind == 'timm' else state


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


@pytest.mark.parametrize('kind', ['dino', 'dino, teacher and student', 'dinov2', 'mae', 'timm'])
def test_official_vision_transformers(tmp_path, lines, kind):
    state = official_vit(layer_scale=kind == 'dinov2')
    model = load(vit_cfg(**LAYER_SCALE if kind == 'dinov2' else {}), as_file(kind, state), tmp_path / 'x.pth')
    prefix = ' (backbone.*)' if 'teacher' in kind else ''
    n = len(state)
    assert f'init: loaded {n}/{n} backbone tensors from {tmp_path / "x.pth"}{prefix}' in lines
    assert len(model.initialization.sums) == n == len(model.state_dict())
    assert torch.equal(model.pos_embed, state['pos_embed'])
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    feats, = model(images)
    torch.testing.assert_close(feats, official_forward(state, images), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('shape, patch', [((96, 80), 16), ((32, 48), 16), ((56, 70), 14)])
def test_positions_follow_the_size_of_the_image(tmp_path, shape, patch):
    state = official_vit(patch=patch)
    model = load(vit_cfg(patch_size=patch, img_size=4 * patch), state, tmp_path / 'x.pth')
    images = torch.randn(1, 3, *shape, generator=torch.Generator().manual_seed(1))
    feats, = model(images)
    assert feats.shape[2:] == (shape[0] // patch, shape[1] // patch)
    torch.testing.assert_close(feats, official_forward(state, images), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('grid', [3, 7])
def test_positions_of_another_grid_are_interpolated_as_mmpretrain_does(tmp_path, lines, grid):
    from mmpretrain.models.utils import resize_pos_embed
    state = official_vit(grid=grid)
    model = load(vit_cfg(), state, tmp_path / 'x.pth')
    assert torch.equal(model.pos_embed, resize_pos_embed(state['pos_embed'], (grid, grid), (4, 4)))
    assert f'init: {1 + grid**2} position embeddings interpolated to 17' in lines
    renamed = read_part(str(tmp_path / 'x.pth'), target=model.state_dict()).state
    stock = MODELS.build(vit_cfg())
    stock.load_state_dict(renamed)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in stock.state_dict().items())


@pytest.mark.parametrize('settings, state, message', [
    (LAYER_SCALE, official_vit(), 'only 30/34 .* has layer scale, .* the file holds none.*layer_scale_init_value=0'),
    ({}, official_vit(True), r'holds layer scale, as DINOv2 .*layer_scale_init_value=1e-5'),
    (dict(patch_size=8, img_size=32), official_vit(), 'of patches of 16 px, .* one of 8 px.*patch_size=16'),
    (dict(arch=dict(SMALL_VIT, num_layers=3)), official_vit(), 'holds 2 blocks, and the config builds 3.*arch'),
    (dict(arch=dict(SMALL_VIT, embed_dims=12)), official_vit(), r'the widths differ; cls_token is \(1, 1, 24\).*arch'),
    ({}, official_vit() | dict(register_tokens=torch.ones(1, 4, CHANNELS)), 'register tokens.*without registers'),
    ({}, official_vit() | dict(pos_embed=torch.ones(1, 19, CHANNELS)), r'\(1, 19, 24\), holds no square grid'),
    ({}, official_vit() | dict(pos_embed=torch.ones(1, 31, CHANNELS)), r'\(1, 31, 24\), holds no square grid'),
])
def test_a_wrong_transformer_says_why(tmp_path, settings, state, message):
    with pytest.raises(ValueError, match=message):
        load(vit_cfg(**settings, out_indices=[1]), state, tmp_path / 'x.pth')


def test_transformers_of_timm(tmp_path):
    """With and without layer scale, at another size than that of the positions."""
    timm = pytest.importorskip('timm')
    for settings in ({}, LAYER_SCALE):
        torch.manual_seed(0)
        theirs = timm.models.vision_transformer.VisionTransformer(
            img_size=64, patch_size=16, embed_dim=CHANNELS, depth=LAYERS, num_heads=HEADS, mlp_ratio=40 / CHANNELS,
            init_values=1. if settings else None, num_classes=3, dynamic_img_size=True).eval()
        ours = load(vit_cfg(**settings), theirs.state_dict(), tmp_path / 'x.pth')
        for size in (64, 96):
            images = torch.randn(1, 3, size, size)
            expected = theirs.forward_features(images)[:, 1:].transpose(1, 2).reshape(1, CHANNELS, size // 16, -1)
            tolerance = dict(atol=1e-5, rtol=1e-5) if size == 64 else dict(atol=0.05, rtol=0)  # timm's antialiases
            torch.testing.assert_close(ours(images)[0], expected, **tolerance)


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


def test_files_for_other_modules_keep_their_names(tmp_path):
    torch.save(official_vit(), tmp_path / 'x.pth')
    resnet = MODELS.build(dict(type='ResNet', depth=18))
    part = read_part(str(tmp_path / 'x.pth'), target=resnet.state_dict())
    assert set(part.state) == set(official_vit()) and not match_tensors(part, resnet.state_dict()).loaded


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
