"""Transformers of DINO, DINOv2 and DINOv3 beside arrays of the official code, and which files are theirs."""
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm

from mmseg_unsup.apis.export import ExportedSegmentor, export_segmentor
from mmseg_unsup.models.backbones import dino_vit_config
from mmseg_unsup.models.backbones.dino_vit import DINOViT, _SplitSwiGLU, _SwiGLU
from mmseg_unsup.models.backbones.vit_positions import resize_positions
from mmseg_unsup.registry import MODELS
from mmseg_unsup.utils.stored_config import read_stored_config
from mmseg_unsup.weights import VIT_SIZES, vit_settings
from ..facts import facts
from ..test_apis.test_export import LOADERS, pictures
from ..test_apis.tiny_models import PREPROCESSOR

TINY = dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=96)
OFFICIAL = dict(
    vit_dino=dict(family='dino', arch=TINY, patch_size=8, img_size=64),
    vit_dinov2=dict(family='dinov2', arch=TINY, img_size=98),
    vit_dinov2_reg=dict(family='dinov2', arch=TINY, img_size=98, n_registers=4),
    vit_dinov3=dict(family='dinov3', arch=dict(TINY, num_heads=2)))
# one head of 64 channels, which a file needs for its network to be recognised
ONE_HEAD = dict(embed_dims=64, num_layers=2, num_heads=1, feedforward_channels=32)


def official(name: str) -> tuple:
    """Tensors of the official model, and what it gives."""
    arrays = {key: torch.from_numpy(value) for key, value in facts(name).items()}
    state = {key.removeprefix('state/'): value for key, value in arrays.items() if key.startswith('state/')}
    return state, arrays


def random_vit(**settings) -> DINOViT:
    """All tensors are drawn, so that each of them counts."""
    torch.manual_seed(0)
    model = DINOViT(**{'arch': ONE_HEAD, **settings}).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def from_file(path, **settings) -> DINOViT:
    model = MODELS.build(dict(type='mmseg_unsup.DINOViT', init_cfg=dict(type='Pretrained', checkpoint=str(path)),
                              **settings))
    model.init_weights()
    return model.eval()


@pytest.mark.parametrize('name', OFFICIAL)
@torch.no_grad()
def test_values_of_the_official_code(name, tmp_path):
    state, arrays = official(name)
    torch.save(state, tmp_path / 'x.pth')
    model = from_file(tmp_path / 'x.pth', **OFFICIAL[name])
    assert [*model.state_dict()] == [*model.state_dict() | state] and len(state) == len(model.state_dict())
    found = model.named_outputs(arrays['img'], ['cls', 'tokens.0', 'tokens', 'attention', 'keys', 'queries'])
    if name == 'vit_dino':
        expected = dict(cls=arrays['tokens_last'][:, 0], attention=arrays['attention'])
        expected |= {key: arrays[value][:, 1:].mT.reshape(1, 24, 5, 6)
                     for key, value in dict(tokens='tokens_last').items() | {'tokens.0': 'tokens_prev'}.items()}
        # but for a term of each query, scores are logarithms of attention
        q, k = (found[key].reshape(1, 3, 8, 30).mT for key in ('queries', 'keys'))
        rest = arrays['attention'][:, :, 1:, 1:].log() - q @ k.mT / 8**0.5
        assert rest.std(-1).max() < 1e-5
    else:
        expected = {'cls': arrays['cls_token'], 'tokens': arrays['last'], 'tokens.0': arrays['prev']}
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model(arrays['img'])[0], found['tokens'], atol=1e-6, rtol=1e-5)  # a fused attention


@pytest.mark.parametrize('name', ['vit_dino', 'vit_dinov2', 'vit_dinov2_reg'])
@torch.no_grad()
def test_the_other_rule_for_positions_is_another_network(name):
    state, arrays = official(name)
    model = DINOViT(**OFFICIAL[name], antialias=not name.endswith('reg')).eval()
    model.load_state_dict(state)
    last = arrays['tokens_last'][:, 1:].mT.reshape(1, 24, 5, 6) if name == 'vit_dino' else arrays['last']
    assert (model(arrays['img'])[0] - last).norm() > 0.01 * last.norm()


@pytest.mark.parametrize('h, w', [(6, 6), (5, 5), (3, 8), (13, 4), (1, 1)])
def test_positions_are_resized_as_torch_does(h, w):
    positions = torch.randn(1, 25, 4, generator=torch.Generator().manual_seed(0))
    grid = positions.reshape(1, 5, 5, 4).permute(0, 3, 1, 2)
    by_factor = F.interpolate(grid, scale_factor=((h + 0.1) / 5, (w + 0.1) / 5), mode='bicubic')
    by_size = F.interpolate(grid, (h, w), mode='bicubic', antialias=True)
    if h == w == 5:
        by_factor = grid
        assert torch.equal(resize_positions(positions, h, w, False), positions)
    for antialias, expected in ((False, by_factor), (True, by_size)):
        with torch.autocast('cpu', torch.bfloat16):
            found = resize_positions(positions, h, w, antialias)
        torch.testing.assert_close(found, expected.flatten(2).mT, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_keys_queries_values_and_the_end_of_the_pass():
    """Of block 0, nothing after its first layer is computed."""
    model, images = random_vit(family='dino', patch_size=8, img_size=32), torch.randn(2, 3, 16, 24)
    block, seen = model.blocks[0], []
    handles = [block.attn.qkv.register_forward_hook(lambda module, inputs, output: seen.append(output)),
               *(module.register_forward_hook(lambda *_: pytest.fail('computed in vain'))
                 for module in (block.attn.proj, block.mlp, model.blocks[1], model.norm))]
    found = model.named_outputs(images, ['values.0', 'queries.0', 'keys.0'])
    assert [*found] == ['values.0', 'queries.0', 'keys.0']
    for part, name in zip(seen[0].chunk(3, -1), ('queries.0', 'keys.0', 'values.0')):
        assert torch.equal(found[name], part[:, 1:].mT.reshape(2, 64, 2, 3))
    for handle in handles:
        handle.remove()
    assert len(model.named_outputs(images, model.output_names)) == 3 * 6 and not model.named_outputs(images, [])


def test_gated_layers():
    """Of DINOv2 giant and DINOv3 small+; the names are those of their files."""
    x = torch.randn(5, 8)
    for mlp in (_SwiGLU(8, 12), _SplitSwiGLU(8, 12)):
        state = mlp.state_dict()
        if 'w12.weight' in state:
            state |= {f'w{i + 1}.{kind}': part for kind in ('weight', 'bias')
                      for i, part in enumerate(state[f'w12.{kind}'].chunk(2))}
        gate, values = (x @ state[f'w{i}.weight'].t() + state[f'w{i}.bias'] for i in (1, 2))
        expected = (gate / (1 + (-gate).exp()) * values) @ state['w3.weight'].t() + state['w3.bias']
        torch.testing.assert_close(mlp(x), expected)


@pytest.mark.parametrize('settings', [
    dict(family='dino', arch='small', patch_size=8), dict(family='dino', arch='base', patch_size=16),
    dict(family='dinov2', arch='small', patch_size=14), dict(family='dinov2', arch='large', n_registers=4),
    dict(family='dinov2', arch='giant'), dict(family='dinov3', arch='small'), dict(family='dinov3', arch='small+'),
    dict(family='dinov3', arch='base'), dict(family='dinov3', arch='huge+')], ids=lambda settings: str(settings))
def test_official_networks_are_recognised(settings):
    with torch.device('meta'):
        model = DINOViT(**settings)
    found = vit_settings(model.state_dict())
    assert found | settings == found and found['n_registers'] == model.n_registers
    assert model.num_heads == VIT_SIZES[settings['arch']].num_heads
    n_params = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    published = dict(small=(21.6, 22.1), base=(85.6, 86.6), large=(303, 305), giant=(1134, 1137))
    low, high = {**published, 'small+': (28.6, 28.8), 'huge+': (839, 842)}[settings['arch']]
    assert low < n_params < high


def wrapped(kind: str, state: dict) -> dict:
    """The contents of a file as it is published."""
    if kind == 'pre-training of DINO':
        teacher = {f'backbone.{name}': value for name, value in state.items()} | {'head.mlp.0.bias': torch.ones(8)}
        return dict(student={f'module.{name}': value + 1 for name, value in teacher.items()}, teacher=teacher, epoch=9)
    if kind == 'pre-training of MAE':
        return dict(model=state | {'mask_token': torch.ones(1, 1, 8), 'decoder_pos_embed': torch.ones(1, 17, 8)})
    if kind == 'satellites of DINOv3':
        return state | {'local_cls_norm.weight': torch.ones(64)}
    if kind == 'rounded periods':
        return state | {'rope_embed.periods': state['rope_embed.periods'].bfloat16()}
    if kind == 'timm':
        return {name: value for name, value in state.items() if name != 'mask_token'} | {'head.bias': torch.ones(3)}
    return state


@pytest.mark.parametrize('kind, family', [
    ('plain', 'dinov2'), ('pre-training of DINO', 'dino'), ('pre-training of MAE', 'dino'), ('timm', 'dinov2'),
    ('satellites of DINOv3', 'dinov3'), ('rounded periods', 'dinov3'), ('safetensors', 'dinov3')])
@torch.no_grad()
def test_one_file_is_enough(kind, family, tmp_path):
    model, images = random_vit(family=family), torch.randn(1, 3, 32, 48)
    content = wrapped(kind, model.state_dict())
    path = tmp_path / ('x.safetensors' if kind == 'safetensors' else 'x.pth')
    if kind == 'safetensors':
        pytest.importorskip('safetensors.torch').save_file(content, path)
    else:
        torch.save(content, path)
    config = dino_vit_config(str(path))
    assert config['family'] == family and config['init_cfg'] == dict(type='Pretrained', checkpoint=str(path))
    found = MODELS.build(config)
    found.init_weights()
    if kind == 'rounded periods':
        expected = model.rope_embed.periods.bfloat16().float()
        assert torch.equal(found.rope_embed.periods, expected) and not torch.equal(model.rope_embed.periods, expected)
        model.rope_embed.periods.copy_(expected)
    assert torch.equal(found.eval()(images)[0], model(images)[0])


@pytest.mark.parametrize('own, settings, message', [
    (dict(family='dinov2'), dict(family='dino'), "family 'dinov2', .* builds .*'dino'.* set family='dinov2'"),
    (dict(family='dinov3'), dict(family='dinov2'), "set family='dinov3', patch_size=16, n_registers=4 of the DINOViT"),
    (dict(), dict(arch=dict(ONE_HEAD, num_layers=3)), "64 channels and 2 blocks.* set arch={'embed_dims': 64"),
    (dict(), dict(arch='small'), "and the config builds .*arch 'small'.* set arch={'embed_dims': 64"),
    (dict(patch_size=16), dict(), 'patches of 16 px, .* set patch_size=16, img_size=512'),
    (dict(img_size=70), dict(), 'set img_size=70 of the DINOViT'),
    (dict(n_registers=4), dict(), '4 registers, and the config builds .* no registers.* set n_registers=4'),
    (dict(), dict(n_registers=4), 'no registers, and the config builds .* 4 registers.* set n_registers=0'),
])
def test_files_of_another_transformer_say_the_setting(own, settings, message, tmp_path):
    torch.save(random_vit(**own).state_dict(), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match=f'tensors fit .*x.pth; .*{message}'):
        from_file(tmp_path / 'x.pth', **{'arch': ONE_HEAD, **settings})


def test_files_of_other_networks(tmp_path):
    path = tmp_path / 'x.pth'
    torch.save({'embeddings.cls_token': torch.ones(1, 1, 64), 'layer.0.norm1.weight': torch.ones(64)}, path)
    with pytest.raises(ValueError, match='names of timm, transformers .* begin with embeddings, layer;.*name an'):
        from_file(path, arch=ONE_HEAD)
    with pytest.raises(ValueError, match='x.pth holds no transformer of DINO, .* names begin with embeddings, layer, '):
        dino_vit_config(str(path))
    torch.save(random_vit(family='dino').state_dict(), path)
    resnet = dict(type='ResNet', depth=18, init_cfg=dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=str(path)))
    with pytest.raises(ValueError, match=r"backbone to dict\(type='mmseg_unsup.DINOViT', family='dino', arch="):
        MODELS.build(resnet).init_weights()
    torch.save(random_vit(family='dino', arch=TINY).state_dict(), path)
    with pytest.raises(ValueError, match='of 24 channels, no multiple of the 64 .*: give arch of the DINOViT'):
        dino_vit_config(str(path))


def test_safetensors_that_cannot_be_read(tmp_path, monkeypatch):
    path = tmp_path / 'x.safetensors'
    path.write_bytes(b'<html>')
    with monkeypatch.context() as without:
        without.setitem(__import__('sys').modules, 'safetensors', None)
        with pytest.raises(ImportError, match=r'x.safetensors needs safetensors. Run: pip install "mmseg-unsup\['):
            dino_vit_config(str(path))
    pytest.importorskip('safetensors')
    for content, reason in ((b'<html>', 'a page of the web'), (b'', 'it is empty'), (b'x' * 200, 'header')):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f'x.safetensors cannot be read as a file of tensors: .*{reason}'):
            dino_vit_config(str(path))


@pytest.mark.parametrize('settings, message', [
    (dict(family='dino2'), "family='dino2' of DINOViT is unknown: did you mean dinov2"),
    (dict(arch='smal'), "arch='smal' of DINOViT is unknown: did you mean small"),
    (dict(arch=dict(embed_dims=24)), r"arch=\{'embed_dims': 24\} of DINOViT must have embed_dims, num_layers"),
    (dict(arch=dict(TINY, num_heads=5)), 'embed_dims=24 of DINOViT is no multiple of 4 num_heads=20'),
    (dict(family='dino', n_registers=4), "n_registers=4, but the family 'dino' has none"),
    (dict(family='dinov3', img_size=224), 'img_size=224, but DINOv3 has no position embeddings of a size'),
])
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        DINOViT(**settings)


@torch.no_grad()
def test_images_of_any_size():
    """The map spans the image: one that is no multiple of a patch is resized to the nearest."""
    model, images = random_vit(patch_size=8, img_size=32), torch.randn(1, 3, 37, 44)
    whole = F.interpolate(images, (40, 48), mode='bilinear')
    assert torch.equal(model(images)[0], model(whole)[0]) and model(images)[0].shape == (1, 64, 5, 6)
    with pytest.raises(ValueError, match='an image of 44x7 px is smaller than a patch of 8 px: set a larger size'):
        model(images[:, :, :7])
    with pytest.raises(ValueError, match=r"no output 'keys.2': take tokens, .*, with .0 to .1 behind it"):
        model.named_outputs(images, ['keys.2'])


@pytest.mark.parametrize('family', ['dinov2', 'dinov3'])
@torch.no_grad()
def test_half_precision(family):
    model, images = random_vit(family=family, n_registers=2), torch.randn(1, 3, 64, 96)
    for parameter in model.parameters():
        parameter.mul_(0.3)
    expected = model.named_outputs(images, ['tokens', 'keys.1', 'attention'])
    with torch.autocast('cpu', torch.bfloat16):
        mixed = model.named_outputs(images, [*expected])
    halved = model.bfloat16().named_outputs(images.bfloat16(), [*expected])
    for name, value in expected.items():
        for found in (mixed[name], halved[name]):
            assert 0 < (found.float() - value).norm() < 0.03 * value.norm(), name
    assert halved['tokens'].dtype == torch.bfloat16


def test_frozen_its_weights_are_known_by_their_identity(tmp_path, caplog):
    torch.save(random_vit().state_dict(), tmp_path / 'x.pth')
    torch.save(random_vit(family='dino').state_dict(), tmp_path / 'other.pth')
    config, images = dino_vit_config(str(tmp_path / 'x.pth')), torch.randn(1, 3, 28, 28)
    backbone = dict(type='mmseg_unsup.FrozenBackbone', backbone=config, out=['tokens.0', 'keys'])
    frozen, logger = MODELS.build(backbone), MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    frozen.init_weights()
    logger.removeHandler(caplog.handler)
    assert caplog.messages[-1].endswith('not in the checkpoints; weights of DINOv2 are under Apache-2.0')
    assert [*frozen.state_dict()] == ['identity'] and [part.shape[2] for part in frozen(images)] == [2, 2]
    model = dict(type='mmseg_unsup.PiCIE', backbone=backbone)
    stored = read_stored_config(dict(meta=dict(cfg=f'model = {model!r}')), 'a.pth')
    again = MODELS.build(stored['model']['backbone'])
    again.load_state_dict(frozen.state_dict())
    assert all(torch.equal(*pair) for pair in zip(again(images), frozen(images)))
    other = MODELS.build(dict(backbone, backbone=dino_vit_config(str(tmp_path / 'other.pth'))))
    with pytest.raises(ValueError, match='frozen DINOViT with the weights .*, but those of .*other.pth are'):
        other.load_state_dict(frozen.state_dict())
    with pytest.raises(ValueError, match="out='key' is no output of the frozen DINOViT: did you mean keys"):
        MODELS.build(dict(backbone, out='key'))


@pytest.mark.parametrize('settings, suffix, opset', [
    (dict(family='dino', patch_size=8, img_size=64), '.ts', 17), (dict(n_registers=2, img_size=56), '.onnx', 11)])
@torch.no_grad()
def test_exported_files_take_any_size(settings, suffix, opset, tmp_path):
    """The first images are of the grid of the embeddings; the last is no multiple of a patch."""
    pytest.importorskip('onnxruntime')
    model = revert_sync_batchnorm(MODELS.build(dict(
        type='mmseg_unsup.PiCIE', data_preprocessor=PREPROCESSOR, test_cfg=ConfigDict(mode='whole'),
        backbone=dict(type='mmseg_unsup.FrozenBackbone',
                      backbone=dict(type='mmseg_unsup.DINOViT', arch=ONE_HEAD, **settings)),
        neck=dict(type='mmseg_unsup.PlainViTPyramid', embed_dims=64, out_channels=16),
        decode_head=dict(type='mmseg_unsup.ClusterHead', in_channels=16, n_clusters=5)))).eval()
    model.backbone.network.load_state_dict(random_vit(**settings).state_dict())
    cells = model.forward_maps(torch.randn(2, 3, 64, 64)).feats['features'].permute(0, 2, 3, 1).flatten(0, 2)
    for name in model.clusters.trained:
        model.clusters[name].fit(cells[torch.randperm(len(cells))[:5]], torch.ones(5))
    path, images = str(tmp_path / f'model{suffix}'), pictures()
    assert export_segmentor(model, path, [images[0][:64, :64], images[2]], opset=opset) >= 0.999
    if suffix == '.ts':
        batch = torch.rand(2, 3, 96, 70) * 255
        ids = LOADERS[suffix](path)(batch)[0]
        assert len(ids.unique()) > 1 and (ids == ExportedSegmentor(model)(batch)[0]).float().mean() >= 0.999
