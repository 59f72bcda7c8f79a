"""Clusters without training, by ``test CONFIG none --save`` and by ``segment --method features``."""
import json
import os
import re

import numpy as np
import pytest
import torch
from mmseg.models.backbones import ResNet
from PIL import Image

from mmseg_unsup.apis.segment_stages import Stages
from mmseg_unsup.registry import MODELS
from mmseg_unsup.utils.console import quiet_console
from mmseg_unsup.weights import load_network_config
from ..test_models.test_dino_vit import ONE_HEAD, random_vit
from ..test_models.test_frozen_backbone import write_weights
from .test_segment import write_discs

CONFIG = 'mmseg_unsup::features/features_r18_folder.py'
NARROW = ['model.backbone.backbone.base_channels=8', 'model.backbone.backbone.stem_channels=8',
          'model.neck.in_channels=[8,16,32,64]', 'model.neck.out_channels=16', 'model.decode_head.in_channels=16',
          'size=32', 'probe_dataloader.num_workers=0', 'probe_dataloader.persistent_workers=False',
          'test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False',
          'default_hooks.precision.without_gradient=float32']

REFINE = dict(edge_xy=5, edge_rgb=20)  # of small images


@pytest.fixture
def run(tool, tmp_path, capsys):
    """Run a command in this process; returns what it prints."""

    def run(*args):
        with quiet_console():
            tool(*args)
        return capsys.readouterr().out

    return run


@pytest.fixture
def weights(tmp_path):
    return write_weights(tmp_path / 'weights.pth')


def maps_of(folder):
    return {path.name: np.array(Image.open(path)) for path in sorted(folder.rglob('*.png'))}


def test_a_saved_start_predicts_as_a_folder_without_training(run, tmp_path, weights, monkeypatch):
    """``test`` and ``segment`` fit the same clusters, which ``predict`` finds in the file; a test shows them as they
    are, ``segment`` and ``predict`` refined by default."""
    images, out, model = write_discs(tmp_path / 'My Photos'), tmp_path / 'out', tmp_path / 'saved' / 'model.pth'
    options = [*NARROW, *(f'model.test_cfg.refine.{key}={value}' for key, value in REFINE.items())]
    segment = ['segment', images, '--method', 'features', '--out', out, '--init', weights, '--n-clusters', 3,
               '--cfg-options', *options]
    said = run(*segment)
    assert 'features, without training, 3 clusters' in said and 'clusters: 3 clusters, ' in said
    assert '8 images, 3 clusters, ' in said and (out / 'gallery.html').is_file()
    with pytest.raises(ValueError, match="records refine=None, but this call has 'none': keep it, and draw other maps "
                       "of "
                       f'the same model by mmseg-unsup predict {re.escape(str(out))} IMAGES'):
        run(*segment, '--refine', 'none')
    options += [f'data_root={images}', f'init={weights}', 'n_clusters=3', f'out={tmp_path / "maps"}']
    monkeypatch.chdir(tmp_path)
    said = run('test', CONFIG, 'none', '--save', model, '--work-dir', tmp_path / 'work', '--cfg-options', *options)
    assert f'model       {os.path.relpath(model)}' in said
    saved, fitted = (torch.load(path, weights_only=False) for path in (model, out / 'train' / 'epoch_0.pth'))
    assert saved['meta']['weights_seen'] == fitted['meta']['weights_seen'] == 'nothing but noise'
    assert saved['meta']['epoch'] == 0 and not any('layer1' in key for key in saved['state_dict'])
    for key, value in saved['state_dict'].items():
        assert torch.equal(value, fitted['state_dict'][key]), key
    run('predict', model, images, '--out', tmp_path / 'refined')
    run('predict', model, images, '--out', tmp_path / 'plain', '--refine', 'none')
    run('predict', model, images, '--out', tmp_path / 'flip', '--refine', 'none', '--cfg-options',
        'model.test_cfg.flip=True')
    found = {name: maps_of(tmp_path / name / 'maps') for name in ('out', 'refined', 'plain', '.', 'flip')}
    for one, other in (('out', 'refined'), ('plain', '.')):
        assert len(found[one]) == len(found[other]) == 8
        for (name, ids), (same_name, same) in zip(found[one].items(), found[other].items()):
            np.testing.assert_array_equal(ids, same, err_msg=f'{one} {name}, {other} {same_name}')
    refined, plain, flipping = (
        np.concatenate([ids.ravel() for ids in found[name].values()]) for name in ('out', 'plain', 'flip'))
    assert len(np.unique(refined)) > 1 and (refined != plain).any() and (flipping != plain).any()
    record = json.loads((out / 'predictions.json').read_text())
    assert record['classes'] == [f'cluster {k}' for k in range(3)]
    assert record['refine'] == dict(method='exact', temperature=None, max_cells=1600, **REFINE)
    assert sum(sum(shares.values()) for shares in record['images'].values()) == pytest.approx(8)
    total = {k: np.mean([shares.get(f'cluster {k}', 0) for shares in record['images'].values()]) for k in range(3)}
    assert total == {k: pytest.approx((refined == k).mean()) for k in range(3)}  # of images of one size
    assert 'Maps are refined by a dense CRF: ' in (out / 'gallery.html').read_text()
    assert 'refine' not in json.loads((tmp_path / 'plain' / 'predictions.json').read_text())
    with pytest.raises(ValueError, match='records results with test_cfg.refine.edge_rgb=20, but this call has None'):
        run('predict', model, images, '--out', tmp_path / 'refined', '--refine', 'none')


@pytest.mark.parametrize('option', ['--epochs=3', '--amp', '--compile'])
def test_options_of_a_training(tool, tmp_path, weights, option):
    images, name = write_discs(tmp_path / 'images'), option.partition('=')[0]
    with pytest.raises(ValueError, match=f'{name} is of a training, and --method features has none: leave it out'):
        tool('segment', images, '--method', 'features', '--out', tmp_path / 'out', '--init', weights, option)
    assert not (tmp_path / 'out').exists()


def test_files_that_cannot_be_saved(tool, tmp_path, weights):
    model = tmp_path / 'model.pth'
    model.write_text('mine')
    options = ['--cfg-options', f'data_root={write_discs(tmp_path / "images")}', f'init={weights}']
    with pytest.raises(FileExistsError, match='model.pth is there already: choose another name'):
        tool('test', CONFIG, 'none', '--save', model, *options)
    with pytest.raises(ValueError, match="give 'none' in the place of "):
        tool('test', CONFIG, model, '--save', tmp_path / 'new.pth', *options)
    assert model.read_text() == 'mine'


def write_vit(path, **settings) -> str:
    """An official file of a small network."""
    path.parent.mkdir(exist_ok=True)
    torch.save(random_vit(**settings).state_dict(), path)
    return str(path)


def test_a_folder_and_one_file(run, tmp_path, monkeypatch):
    """The file decides method and network; what comes out is used from any folder."""
    images = write_discs(tmp_path / 'My Photos')
    write_vit(tmp_path / 'My Weights' / 'x.pth', n_registers=2)
    small = ['--n-clusters', 3, '--cfg-options', 'size=56', *(word for word in NARROW if 'num_workers' in word)]
    monkeypatch.chdir(tmp_path)
    said = run('segment', 'My Photos', '--init', 'My Weights/x.pth', '--out', 'My Results', *small)
    assert 'features, without training, 3 clusters' in said and '8 images, 3 clusters, ' in said
    assert "weights: My Weights/x.pth, a transformer of the family 'dinov2', 64 channels and 2 blocks, patches of 14 " \
        'px, 2 registers, weights of DINOv2 are under Apache-2.0' in said
    record = json.loads((tmp_path / 'My Results' / 'segment_folder.json').read_text())['settings']
    assert (record['method'], record['config']) == ('features', 'mmseg_unsup::features/features_vit_folder.py')
    saved = torch.load(tmp_path / 'My Results' / 'train' / 'epoch_0.pth', weights_only=False)['state_dict']
    assert not any('blocks' in name for name in saved) and saved['neck.laterals.0.weight'].shape == (64, 64, 1, 1)
    (tmp_path / 'elsewhere').mkdir()
    monkeypatch.chdir(tmp_path / 'elsewhere')
    again = run('segment', images, '--init', '../My Weights/x.pth', '--out', '../My Results', *small)
    assert again.count('finished before') == 4
    run('name', '../My Results', '--name', '1=thing', '--merge', '0,2=ground')
    run('predict', '../My Results', images, '--out', '../My Predictions')
    shown, found = maps_of(tmp_path / 'My Results' / 'maps'), maps_of(tmp_path / 'My Predictions' / 'maps')
    for name, ids in shown.items():
        assert ids.shape == (64, 80) and np.array_equal(np.isin(ids, [0, 2]), found[name] == 0), name
    assert len(np.unique(np.concatenate([*shown.values()]))) == 3
    run('gallery', '../My Results', images, '--out', 'page.html')
    assert 'thing' in (tmp_path / 'elsewhere' / 'page.html').read_text()


@pytest.mark.parametrize('settings, sizes', [
    (dict(), (448, 320)), (dict(family='dino', patch_size=8, img_size=64), (256, 320)),
    (dict(family='dinov3'), (512, 320)), (dict(arch=dict(ONE_HEAD, embed_dims=192, num_heads=3)), (448, 320))])
def test_the_file_decides_the_network(tmp_path, settings, sizes):
    """Of any family; a config of it loads all tensors of the file."""
    path, model = write_vit(tmp_path / 'x.pth', **settings), random_vit(**settings)
    for name, size in zip(('folder', 'camvid'), sizes):
        cfg = load_network_config(f'mmseg_unsup::features/features_vit_{name}.py', dict(init=path))
        built = MODELS.build(cfg.model).backbone
        built.init_weights()
        assert all(torch.equal(value, built.network.state_dict()[key]) for key, value in model.state_dict().items())
        width = len(model.cls_token.flatten())
        assert cfg.model.neck.in_channels == [width] and cfg.model.decode_head.in_channels == min(width, 128)
        pipelines = [cfg[f'{loader}_dataloader'].dataset.pipeline for loader in ('probe', 'test')]
        assert [step['size'] for steps in pipelines for step in steps if 'size' in step] == [size, size]
    asked = {'init': path, 'size': 84, 'model.backbone.out': ['tokens.0', 'keys'], 'model.neck.out_channels': 9,
             'model.decode_head.in_channels': 9}
    cfg = load_network_config('mmseg_unsup::features/features_vit_folder.py', asked)
    assert cfg.size == 84 and cfg.model.neck.in_channels == [width] * 2 and cfg.model.neck.out_channels == 9
    again = tmp_path / 'again.py'
    cfg.dump(again)
    assert load_network_config(again).model == cfg.model


def test_a_resnet_of_the_file(tmp_path):
    network = ResNet(50, base_channels=4, stem_channels=6)
    torch.save(network.state_dict(), tmp_path / 'x.pth')
    cfg = load_network_config(CONFIG, dict(init=str(tmp_path / 'x.pth')))
    model = MODELS.build(cfg.model)
    model.backbone.init_weights()
    assert torch.equal(model.backbone.network.layer3[5].conv2.weight, network.layer3[5].conv2.weight)
    assert cfg.model.neck.in_channels == [16, 32, 64, 128] and cfg.size == 320
    few = load_network_config(CONFIG, {'init': str(tmp_path / 'x.pth'), 'model.backbone.out': ['layer3', 'layer4']})
    assert few.model.neck.in_channels == [64, 128] and few.model.neck.level_weights == [1., 1.]


def test_the_former_path_of_weights_goes_on(tmp_path, weights, monkeypatch):
    """Folders of former versions have it as it was given."""
    monkeypatch.chdir(tmp_path)
    record = dict(settings=dict(init='weights.pth'), epochs=0, finished=['images', 'maps'])
    (tmp_path / 'segment_folder.json').write_text(json.dumps(record))
    assert Stages(str(tmp_path), dict(init=weights), 0).record['finished'] == ['images', 'maps']
    with pytest.raises(ValueError, match=f"records init='{weights}', but this call has 'other.pth'"):
        Stages(str(tmp_path), dict(init='other.pth'), 0)


def test_a_resnet_that_does_not_fit_is_told_before_masks_are_made(tool, tmp_path):
    images = write_discs(tmp_path / 'images')
    torch.save(ResNet(34, base_channels=8, stem_channels=8).state_dict(), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='holds a ResNet-34, and the config builds a ResNet-18.') as raised:
        tool('segment', images, '--out', tmp_path / 'out', '--init', tmp_path / 'x.pth', '--config',
             'mmseg_unsup::maskcontrast/maskcontrast_deeplabv3_folder_r18.py')
    assert raised.value.stage == 'weights' and not list((tmp_path / 'out' / 'masks').rglob('*.png'))
