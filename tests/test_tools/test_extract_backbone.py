"""mmseg-unsup extract-backbone: equal features, safe files, refusals."""
import os
import os.path as osp
import sys

import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.models.backbones import ResNet

from mmseg_unsup.converters.extract_backbone import extract_backbone
from mmseg_unsup.registry import MODELS
from mmseg_unsup.weights import read_part
from ..conftest import ROOT
from ..mmpretrain_pair import importable_pair

MODEL = "type='mmseg_unsup.PiCIE', target_generator=dict(epochs=4), backbone=dict(type={!r}, depth={}{})"
CONFIG = f'model = dict({MODEL})\n'


def make_checkpoint(path, depth: int = 18, kind: str = 'ResNet', settings: str = '', **meta) -> str:
    """Trained and averaged weights differ, running statistics are those of no fresh network."""
    init_default_scope('mmseg')
    state = {}
    for prefix in ('backbone.', 'target_generator.backbone.'):
        backbone = MODELS.build(dict(type=kind, depth=depth, norm_cfg=dict(type='BN')))
        for name, value in backbone.state_dict().items():
            state[prefix + name] = value + torch.rand_like(value) / 1000 if 'running' in name else value
    config = CONFIG.format(kind, depth, settings)
    torch.save(dict(meta=dict(cfg=config, weights_seen='none', **meta), state_dict=state), path)
    return str(path)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp('source') / 'picie.pth')


def plain(path, prefix: str = '') -> dict:
    content = torch.load(path, weights_only=True)
    state = content.get('state_dict', content)
    return {name.removeprefix(prefix): value for name, value in state.items()}


@pytest.mark.parametrize('form', ['mmseg', 'mmpretrain', 'torchvision', 'timm'])
@pytest.mark.parametrize('weights, source', [('auto', 'target_generator.backbone.'), ('trained', 'backbone.')])
def test_files_hold_the_backbone_only(tool, tmp_path, checkpoint, capsys, form, weights, source):
    prefix = 'backbone.' if form == 'mmpretrain' else ''
    tool('extract-backbone', checkpoint, tmp_path / 'out.pth', '--format', form, '--weights', weights)
    out = capsys.readouterr().out
    assert f'120 backbone tensors of {checkpoint} ({source}*); labels: none; equal features, bit by bit, in' in out
    expected, written = torch.load(checkpoint, weights_only=True)['state_dict'], plain(tmp_path / 'out.pth', prefix)
    assert len(written) == 120
    assert all(torch.equal(value, expected[source + name]) for name, value in written.items())
    content = torch.load(tmp_path / 'out.pth', weights_only=True)
    if form in ('mmseg', 'mmpretrain'):
        assert content['meta']['weights_seen'] == 'none'
        stock = ResNet(18, norm_cfg=dict(type='BN'), init_cfg=dict(
            type='Pretrained', checkpoint=str(tmp_path / 'out.pth'), prefix=prefix or None))
        stock.init_weights()
        assert all(torch.equal(value, written[name]) for name, value in stock.state_dict().items())
    else:
        assert all(isinstance(value, torch.Tensor) for value in content.values())
    # a tensor that is a view would carry the storage of the whole checkpoint into the file
    assert osp.getsize(tmp_path / 'out.pth') < 1.05 * sum(value.nbytes for value in written.values()) + 1e5


@pytest.mark.parametrize('form', ['mmseg', 'torchvision'])
def test_safetensors(tmp_path, checkpoint, form):
    load_file = pytest.importorskip('safetensors.torch').load_file
    target = str(tmp_path / 'My Data.safetensors')
    assert 'equal features, bit by bit' in extract_backbone(checkpoint, target, form)
    extract_backbone(checkpoint, str(tmp_path / 'out.pth'), form)
    expected, written = plain(tmp_path / 'out.pth'), load_file(target)  # which other programs read too
    assert written.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in written.items())
    found = read_part(target)
    assert found.seen == ('none' if form == 'mmseg' else 'unknown') and len(found.state) == 120
    with pytest.MonkeyPatch.context() as without:
        without.setitem(sys.modules, 'safetensors.torch', None)
        with pytest.raises(ImportError, match=r'other.safetensors needs safetensors. Run: pip install'):
            extract_backbone(checkpoint, str(tmp_path / 'other.safetensors'), form)


@pytest.mark.parametrize('form', ['torchvision', 'timm', 'mmpretrain'])
def test_features_in_the_other_code(tmp_path, checkpoint, form):
    with importable_pair():
        pytest.importorskip(form)
        assert f'in {form} ' in extract_backbone(checkpoint, str(tmp_path / 'out.pth'), form)


def test_transformers(tmp_path):
    check_other_backbone(tmp_path, dict(
        type='mmseg_unsup.DINOViT', family='dinov3',
        arch=dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=40)), 'mmseg')


@pytest.mark.parametrize('settings', [
    dict(type='mmpretrain.VisionTransformer', img_size=64, out_type='featmap', out_indices=[1],
         arch=dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=40)),
    dict(type='mmpretrain.ConvNeXt', out_indices=(1, 3), gap_before_final_norm=False,
         arch=dict(depths=[1, 1, 1, 1], channels=[8, 12, 16, 20]))], ids=lambda settings: settings['type'])
@pytest.mark.parametrize('form', ['mmpretrain', 'mmseg'])
def test_other_backbones_of_mmpretrain(tmp_path, settings, form):
    with importable_pair():
        check_other_backbone(tmp_path, settings, form)


def check_other_backbone(tmp_path, settings, form):
    backbone, path = MODELS.build(settings), str(tmp_path / 'vit.pth')
    state = {name: torch.rand_like(value) for name, value in backbone.state_dict().items()}
    config = f"model = dict(type='mmseg_unsup.PiCIE', backbone={settings!r})\n"
    prefixed = {f'backbone.{name}': value for name, value in state.items()}
    torch.save(dict(meta=dict(cfg=config), state_dict=prefixed), path)
    assert f'equal features, bit by bit, in {form}' in extract_backbone(path, str(tmp_path / 'out.pth'), form)
    written = plain(tmp_path / 'out.pth', 'backbone.' if form == 'mmpretrain' else '')
    assert set(written) == set(state) and all(torch.equal(value, written[name]) for name, value in state.items())
    with pytest.raises(ValueError, match=f"timm is for backbones of type ResNet .* '{settings['type']}'"):
        extract_backbone(path, str(tmp_path / 'timm.pth'), 'timm')


def test_what_cannot_be_expressed_is_refused_and_leaves_no_file(tool, tmp_path):
    deep = make_checkpoint(tmp_path / 'deep.pth', kind='ResNetV1c')
    with pytest.raises(ValueError, match="--format timm is for backbones of type ResNet .* 'ResNetV1c': use --format"):
        tool('extract-backbone', deep, tmp_path / 'out.pth', '--format', 'timm')
    for settings in (", style='caffe'", ', strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)'):
        other = make_checkpoint(tmp_path / 'other.pth', depth=50, settings=settings)
        with pytest.raises(ValueError, match='features in .*torchvision.* differ .* than --format torchvision can'):
            tool('extract-backbone', other, tmp_path / 'out.pth', '--format', 'torchvision')
        tool('extract-backbone', other, tmp_path / 'mmseg.pth', '--format', 'mmseg', '--force')
    dead = torch.load(tmp_path / 'other.pth', weights_only=True)
    dead['state_dict']['target_generator.backbone.bn1.bias'] -= 100
    torch.save(dead, tmp_path / 'other.pth')
    with pytest.raises(ValueError, match='features of the checkpoint are constant on random images'):
        tool('extract-backbone', tmp_path / 'other.pth', tmp_path / 'out.pth', '--format', 'torchvision')
    assert sorted(os.listdir(tmp_path)) == ['deep.pth', 'mmseg.pth', 'other.pth']


def test_refusals(tool, tmp_path, checkpoint):
    (tmp_path / 'out.pth').write_text('precious')
    with pytest.raises(FileExistsError, match='out.pth is there already: .*--force'):
        tool('extract-backbone', checkpoint, tmp_path / 'out.pth', '--format', 'mmseg')
    with pytest.raises(FileNotFoundError, match="there is no checkpoint 'nowhere.pth': give the path of a file that"):
        tool('extract-backbone', 'nowhere.pth', tmp_path / 'new.pth', '--format', 'mmseg')
    content = torch.load(checkpoint, weights_only=True)
    torch.save(dict(state_dict=content['state_dict']), tmp_path / 'bare.pth')
    with pytest.raises(ValueError, match='bare.pth does not hold the config of its run: give it with --config'):
        tool('extract-backbone', tmp_path / 'bare.pth', tmp_path / 'new.pth', '--format', 'mmseg')
    tool('extract-backbone', tmp_path / 'bare.pth', tmp_path / 'new.pth', '--format', 'mmseg', '--weights-seen',
        'ImageNet', '--config', f'{ROOT}/configs/picie/picie_fpn_camvid.py')
    assert torch.load(tmp_path / 'new.pth', weights_only=True)['meta']['weights_seen'] == 'ImageNet labels'
    with pytest.raises(ValueError, match='holds a ResNet-18, and the config builds a ResNet-50'):
        wrong = torch.load(checkpoint, weights_only=True)
        wrong['meta']['cfg'] = CONFIG.format('ResNet', 50, '')
        torch.save(wrong, tmp_path / 'wrong.pth')
        tool('extract-backbone', tmp_path / 'wrong.pth', tmp_path / 'x.pth', '--format', 'mmseg')
    assert (tmp_path / 'out.pth').read_text() == 'precious'
