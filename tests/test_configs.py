"""Every shipped config is complete, listed, and builds."""
import glob
import os.path as osp

import pytest
import yaml
from mmengine.registry import init_default_scope

from mmseg_unsup.registry import HOOKS, METRICS, MODELS, TRANSFORMS
from mmseg_unsup.utils import load_config
from .conftest import ROOT

CONFIGS = sorted(path for path in glob.glob(osp.join(ROOT, 'configs', '*', '*.py')) if '_base_' not in path)


def name(path):
    return osp.splitext(osp.basename(path))[0]


@pytest.mark.parametrize('path', CONFIGS, ids=name)
def test_builds(path):
    cfg = load_config(path)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    assert model.decode_head.n_clusters == cfg.n_clusters
    assert cfg.default_hooks.fresh_kmeans.n_clusters == cfg.n_clusters
    assert model.decode_head.in_channels == cfg.model.neck.out_channels
    for hook in cfg.default_hooks.values():
        HOOKS.build(hook)
    for metric in cfg.val_evaluator if isinstance(cfg.val_evaluator, list) else [cfg.val_evaluator]:
        METRICS.build(metric)
    for metric in cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]:
        METRICS.build(metric)
    loaders = [cfg.get(key) for key in ('train_dataloader', 'probe_dataloader', 'val_dataloader', 'test_dataloader',
                                        'labelled_probe_dataloader')]
    for loader in filter(None, loaders):
        for transform in loader.dataset.pipeline:
            TRANSFORMS.build(transform)


@pytest.mark.parametrize('path', CONFIGS, ids=name)
def test_data_root_reaches_every_loader(path):
    cfg = load_config(path, dict(data_root='some/where'))
    roots = [cfg.train_dataloader.dataset.dataset.data_root, cfg.probe_dataloader.dataset.dataset.data_root,
             cfg.val_dataloader.dataset.data_root, cfg.test_dataloader.dataset.data_root]
    if 'labelled_probe_dataloader' in cfg:
        roots.append(cfg.labelled_probe_dataloader.dataset.dataset.data_root)
    assert set(roots) == {'some/where'}


def test_variables_and_full_keys():
    path = osp.join(ROOT, 'configs', 'picie', 'picie_fpn_folder.py')
    cfg = load_config(path, {'n_clusters': 9, 'init': 'x.pth', 'out': 'maps', 'model.decode_head.n_clusters': 50})
    assert cfg.default_hooks.fresh_kmeans.n_clusters == 9
    assert cfg.model.decode_head.n_clusters == 50  # the full key is the more precise wish
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


def test_every_config_is_listed_in_its_metafile():
    index = yaml.safe_load(open(osp.join(ROOT, 'model-index.yml')))
    listed = {}
    for metafile in index['Import']:
        for model in yaml.safe_load(open(osp.join(ROOT, metafile)))['Models']:
            listed[model['Name']] = model['Config']
    assert sorted(osp.join(ROOT, config) for config in listed.values()) == CONFIGS
    assert all(key == name(config) for key, config in listed.items())


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
        cfg = load_config(path, dict(protocol='full_resolution'))
        for key in ('labelled_probe_dataloader', 'val_dataloader', 'test_dataloader'):
            step = cfg[key].dataset.pipeline[2]
            assert step.type == 'mmseg_unsup.ResizeForEvaluation' and step.protocol == 'full_resolution'
        assert cfg.probe_dataloader.dataset.pipeline == load_config(path).probe_dataloader.dataset.pipeline
