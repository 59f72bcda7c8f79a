"""Every shipped config is complete, listed, and builds."""
import glob
import os.path as osp
import sys
from contextlib import nullcontext

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.models.backbones import ResNet

from mmseg_unsup.registry import HOOKS, METRICS, MODELS, TRANSFORMS
from mmseg_unsup.utils import load_config
from .conftest import ROOT
from .mmpretrain_pair import importable_pair

CONFIGS = sorted(path for path in glob.glob(osp.join(ROOT, 'configs', '*', '*.py')) if '_base_' not in path)
FINETUNE = [path for path in CONFIGS if osp.basename(osp.dirname(path)) == 'finetune']
METHODS = [path for path in CONFIGS if path not in FINETUNE]

LOADERS = ('train_dataloader', 'probe_dataloader', 'val_dataloader', 'test_dataloader', 'labelled_probe_dataloader')


def name(path):
    return osp.splitext(osp.basename(path))[0]


@pytest.mark.parametrize('path', METHODS, ids=name)
def test_builds(path):
    cfg = load_config(path)
    with importable_pair() if cfg.model.backbone.type.startswith('mmpretrain.') else nullcontext():
        check_parts(cfg)


def check_parts(cfg):
    """Every part of a config of a method builds, and knows the numbers that several of them share."""
    init_default_scope(cfg.default_scope)
    # numbers of weights take most of the time
    with torch.device('cpu' if cfg.model.backbone.type.startswith('mmpretrain.') else 'meta'):
        model = MODELS.build(cfg.model)
    if cfg.model.type == 'mmseg_unsup.MaskContrast':
        assert cfg.default_hooks.object_clustering.n_clusters == cfg.n_clusters
    else:
        assert model.decode_head.n_clusters == cfg.n_clusters
        assert cfg.model.neck is None or model.decode_head.in_channels == cfg.model.neck.out_channels
    for hook in cfg.default_hooks.values():
        HOOKS.build(hook)
    for key in ('val_evaluator', 'test_evaluator'):
        metrics = cfg.get(key, [])
        for metric in metrics if isinstance(metrics, list) else [metrics]:
            METRICS.build(metric)
    for loader in filter(None, map(cfg.get, LOADERS)):
        for transform in loader.dataset.pipeline:
            TRANSFORMS.build(transform)


def images_of(loader):
    """The config of the data set that lists the images."""
    dataset = loader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    return dataset


@pytest.mark.parametrize('path', METHODS, ids=name)
def test_data_root_reaches_every_loader(path):
    cfg = load_config(path, dict(data_root='some/where'))
    loaders = [cfg[key] for key in LOADERS if cfg.get(key)]
    assert {images_of(loader).data_root for loader in loaders} == {'some/where'}


@pytest.mark.parametrize('path', FINETUNE, ids=name)
def test_finetuning_config_builds(path):
    cfg = load_config(path, dict(data_root='some/where', init='x.pth', averaged=False, weights_seen='none'))
    init_default_scope('mmseg')
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert type(model.backbone) is ResNet and model.backbone.depth == int(name(path).split('_r')[1][:2])
    parts = ['backbone', *(['neck'] if 'neck' in cfg.model else [])]
    for part in parts:
        init_cfg = getattr(model, part).init_cfg
        assert init_cfg['type'] == f'mmseg_unsup.Pretrained{part.capitalize()}'
        assert init_cfg['checkpoint'] == 'x.pth' and init_cfg['averaged'] is False
    assert HOOKS.build(cfg.default_hooks.initialization).stated == 'none'
    for key in filter(cfg.get, ('train_dataloader', 'val_dataloader', 'test_dataloader')):
        assert images_of(cfg[key]).data_root == 'some/where'
        for transform in cfg[key].dataset.pipeline:
            TRANSFORMS.build(transform)
    scratch = load_config(path, dict(init=None))
    assert all(scratch.model[part].init_cfg is None for part in parts)


@pytest.mark.parametrize('dataset', ['camvid', 'cocostuff', 'folder'])
def test_a_start_from_random_weights_differs_in_nothing_else(dataset):
    path = osp.join(ROOT, 'configs', 'picie', f'picie_fpn_{dataset}.py')
    scratch, usual = load_config(path, dict(init=None)), load_config(path)
    assert scratch.model.backbone.init_cfg is None
    usual.model.backbone.init_cfg, usual.init = None, None
    assert scratch.to_dict() == usual.to_dict()


@pytest.mark.parametrize('name, size, n_views', [
    ('picie/picie_fpn_camvid', 160, 2), ('picie/picie_fpn_cocostuff', 320, 2), ('mdc/mdc_fpn_msrc', 160, 1)])
def test_a_file_without_shortcuts_has_all_values(name, size, n_views):
    """Functions that a config calls leave no trace; their sizes are the published ones."""
    cfg = Config.fromfile(osp.join(ROOT, 'configs', f'{name}.py'))
    assert cfg.to_dict() == load_config(osp.join(ROOT, 'configs', f'{name}.py')).to_dict()
    assert all(not callable(value) for value in cfg.to_dict().values()) and 'import' not in cfg.pretty_text
    load, _, views, crop, photometric, _ = cfg.train_dataloader.dataset.pipeline
    assert (load.reduce_to, views.num_views, crop.size) == (2 * size, n_views, size)
    assert photometric.transforms[2].sigma == {160: (0.025, 0.5), 320: (0.05, 1.0)}[size]
    resize, = (step for step in cfg.val_dataloader.dataset.pipeline if 'size' in step)
    assert resize == dict(type='mmseg_unsup.ResizeForEvaluation', size=size, protocol='center_crop')
    assert cfg.probe_dataloader.dataset.dataset == cfg.train_dataloader.dataset.dataset
    assert cfg.probe_dataloader.dataset.pipeline[1] == dict(type='mmseg_unsup.ResizeForEvaluation', size=size)
    assert cfg.test_dataloader == cfg.val_dataloader and cfg.test_evaluator == cfg.val_evaluator


def test_variables_and_full_keys():
    path = osp.join(ROOT, 'configs', 'picie', 'picie_fpn_folder.py')
    cfg = load_config(path, {'n_clusters': 9, 'init': 'x.pth', 'out': 'maps', 'model.decode_head.n_clusters': 50})
    assert cfg.n_clusters == cfg.model.decode_head.n_clusters == 50  # the full key is the more precise wish
    assert cfg.model.backbone.init_cfg.checkpoint == 'x.pth'
    assert cfg.test_evaluator.output_dir == 'maps'


def test_shortcuts_must_exist(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text("a = 1\nshortcuts = dict(a=['b.c'])\n")
    with pytest.raises(KeyError, match="the shortcut 'a' sets 'b.c', which the config does not have"):
        load_config(str(path))
    path.write_text("b = dict(c=1)\nshortcuts = dict(a=['b.c'])\n")
    with pytest.raises(KeyError, match="shortcuts names 'a', but the config has no top-level variable"):
        load_config(str(path))


def test_modules_beside_a_config_are_found(tmp_path, monkeypatch):
    """And what is installed goes before them."""
    monkeypatch.setattr(sys, 'path', list(sys.path))
    (tmp_path / 'lying_beside.py').write_text('value = 3\n')
    (tmp_path / 'yaml.py').write_text('raise AssertionError\n')
    path = tmp_path / 'config.py'
    path.write_text("custom_imports = dict(imports=['lying_beside', 'yaml'])\n")
    load_config(str(path))
    assert sys.modules.pop('lying_beside').value == 3
    load_config(osp.relpath(path))
    assert sys.path.count(str(tmp_path)) == 1 and sys.path[-1] == str(tmp_path)
    path.write_text("custom_imports = dict(imports=['lying_elsewhere'])\n")
    with pytest.raises(ImportError, match='lying_elsewhere'):
        load_config(str(path))
    (tmp_path / 'plain.py').write_text('a = 1\n')
    sys.path.remove(str(tmp_path))
    load_config(str(tmp_path / 'plain.py'))
    assert str(tmp_path) not in sys.path


def test_parity_differs_in_the_listed_settings_only():
    clean, parity = (load_config(osp.join(ROOT, 'configs', 'picie', f'picie_fpn_cocostuff{x}.py'))
                     for x in ('', '_parity'))
    assert parity.model.temperature == 1 and parity.model.rounding == 'official'
    assert parity.model.decode_head.distance == 'dot' and parity.model.neck.init == 'random'
    assert parity.default_hooks.clustering.class_weights == 'frequency'
    assert parity.default_hooks.clustering.bn_mode == 'train'
    for key in ('optim_wrapper', 'train_cfg', 'val_dataloader', 'probe_dataloader', 'randomness', 'n_clusters'):
        assert clean[key] == parity[key], key


def test_probe_configs_change_protocol_by_one_option():
    for path in filter(lambda path: osp.basename(osp.dirname(path)) == 'probe', CONFIGS):
        if 'protocol' not in load_config(path):
            continue  # objects are scored by the protocol of their paper
        cfg = load_config(path, dict(protocol='full_resolution'))
        for key in ('labelled_probe_dataloader', 'val_dataloader', 'test_dataloader'):
            step = cfg[key].dataset.pipeline[2]
            assert step.type == 'mmseg_unsup.ResizeForEvaluation' and step.protocol == 'full_resolution'
        assert cfg.probe_dataloader.dataset.pipeline == load_config(path).probe_dataloader.dataset.pipeline
