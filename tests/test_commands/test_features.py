"""Clusters without training, by ``test CONFIG none --save`` and by ``segment --method features``."""
import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_unsup.utils.console import quiet_console
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
    said = run('segment', images, '--method', 'features', '--out', out, '--init', weights, '--n-clusters', 3,
               '--cfg-options', *options)
    assert 'features, without training, 3 clusters' in said and 'clusters: 3 clusters, ' in said
    assert '8 images, 3 clusters, ' in said and (out / 'gallery.html').is_file()
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
