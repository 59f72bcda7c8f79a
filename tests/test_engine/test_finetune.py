"""From pre-training without labels into supervised training, by the shipped configs made small."""
import itertools
import os.path as osp
import shutil

import pytest
import torch
from mmengine.runner import Runner

from mmseg_unsup.utils.config import load_config
from ..conftest import NO_WORKERS, ROOT, write_camvid
from .tiny import tiny_runner

_count = itertools.count()
# of the tiny PiCIE of tiny.py
WIDTHS = {'model.backbone.base_channels': 8, 'model.backbone.stem_channels': 8}
HEADS = dict(
    fpn={'model.neck.in_channels': [8, 16, 32, 64], 'model.neck.out_channels': 16,
         'model.decode_head.in_channels': [16], 'model.decode_head.channels': 8},
    fcn={'model.decode_head.in_channels': 64, 'model.decode_head.channels': 8, 'model.auxiliary_head.in_channels': 32,
         'model.auxiliary_head.channels': 8})


def supervised_runner(root, work_dir, head: str, init, kind: str = 'camvid', **options) -> Runner:
    """``configs/finetune/*_r18_camvid.py``, or that of a folder, made small: two steps on 32 px crops."""
    cfg_options = {'data_root': str(root), 'init': init, **WIDTHS, **HEADS[head]}
    test = 'val' if kind == 'camvid' else 'test'
    for option in NO_WORKERS:
        if option.startswith(('train', test)):
            key, value = option.split('=')
            cfg_options[key] = {'0': 0, 'False': False}[value]
    cfg_options.update({
        'train_dataloader.batch_size': 2, f'{test}_dataloader.batch_size': 4 if kind == 'camvid' else 1,
        'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2,
        'train_dataloader.dataset.pipeline.RandomResize.scale': (1000, 32),
        'train_dataloader.dataset.pipeline.RandomCrop.crop_size': (32, 32),
        f'{test}_dataloader.dataset.pipeline.ResizeForEvaluation.size': 32,
        'model.data_preprocessor.size': (32, 32), 'default_hooks.checkpoint.interval': 2})
    cfg_options.update({key.replace('__', '.'): value for key, value in options.items()})
    cfg = load_config(osp.join(ROOT, 'configs', 'finetune', f'{head}_r18_{kind}.py'), cfg_options)
    cfg.work_dir, cfg.experiment_name = str(work_dir), f'supervised_{next(_count)}'
    return Runner.from_cfg(cfg)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('camvid')
    write_camvid(root)
    return root


@pytest.fixture(scope='module')
def pretrained(data, tmp_path_factory):
    """Checkpoint of a PiCIE run with an averaging teacher, from random weights."""
    from mmengine.registry import init_default_scope
    init_default_scope('mmseg')
    work_dir = tmp_path_factory.mktemp('picie')
    tiny_runner(str(data / 'images' / 'train'), work_dir, model__target_generator__epochs=2.).train()
    return str(work_dir / 'epoch_1.pth')


def log_of(work_dir) -> str:
    return next(work_dir.glob('*/*.log')).read_text()


def meta_of(path) -> dict:
    return torch.load(path, weights_only=False)['meta']


@pytest.mark.parametrize('head, parts', [('fpn', ['backbone', 'neck']), ('fcn', ['backbone'])])
def test_a_shipped_config_starts_from_the_checkpoint(data, pretrained, tmp_path, head, parts):
    runner = supervised_runner(data, tmp_path, head, pretrained)
    seen_at_first_step = {}

    def remember(module, inputs):
        for name, value in runner.model.state_dict().items():
            seen_at_first_step.setdefault(name, value.clone())

    runner.model.backbone.register_forward_pre_hook(remember)
    runner.train()
    source = torch.load(pretrained, weights_only=False)['state_dict']
    for part, total in zip(parts, (120, 8)):
        line = f'init: loaded {total}/{total} {part} tensors from {pretrained} (target_generator.{part}.*)'
        assert line in log_of(tmp_path)
        names = [name for name in seen_at_first_step if name.startswith(f'{part}.')]
        assert len(names) == total
        assert all(torch.equal(seen_at_first_step[name], source[f'target_generator.{name}']) for name in names)
    assert any(not torch.equal(source[f'target_generator.backbone.{name}'], source[f'backbone.{name}'])
               for name in ('conv1.weight', 'layer4.1.conv2.weight'))


def test_label_maps_of_any_folder_are_trained_on(data, pretrained, tmp_path):
    labels = tmp_path / 'labels'
    shutil.copytree(data / 'labels' / 'train', labels)
    next(labels.rglob('*.png')).unlink()
    names = [f'class {c}' for c in range(11)]
    runner = supervised_runner(
        data / 'images' / 'train', tmp_path / 'run', 'fpn', pretrained, 'folder', labels=str(labels), classes=names)
    runner.train()
    assert len(runner.train_dataloader.dataset) == 3
    assert runner.model.decode_head.num_classes == runner.model.decode_head.conv_seg.out_channels == 11
    assert f'init: loaded 8/8 neck tensors from {pretrained}' in log_of(tmp_path / 'run')
    assert meta_of(tmp_path / 'run' / 'iter_2.pth')['weights_seen'] == 'own labels'
    assert 0 <= runner.test()['mIoU'] < 100 and len(runner.test_dataloader.dataset) == 3


def test_what_was_seen_is_carried_from_run_to_run(data, pretrained, tmp_path):
    assert meta_of(pretrained)['weights_seen'] == 'none'
    supervised_runner(data, tmp_path / 'a', 'fcn', pretrained).train()
    assert 'labels seen by the initial weights: none' in log_of(tmp_path / 'a')
    first = shutil.copyfile(tmp_path / 'a' / 'iter_2.pth', tmp_path / 'first.pth')
    assert meta_of(first)['weights_seen'] == 'CamVid labels'
    supervised_runner(data, tmp_path / 'a', 'fcn', pretrained, resume=True, train_cfg__max_iters=4,
                      default_hooks__checkpoint__interval=4).train()
    assert meta_of(tmp_path / 'a' / 'iter_4.pth')['weights_seen'] == 'CamVid labels'

    plain = torch.load(pretrained, weights_only=False)['state_dict']
    plain = {name.removeprefix('backbone.'): value for name, value in plain.items() if name.startswith('backbone.')}
    torch.save(plain, tmp_path / 'plain.pth')
    for name, options, expected in (('b', {}, 'unknown'), ('c', dict(weights_seen='ImageNet'), 'ImageNet labels')):
        supervised_runner(data, tmp_path / name, 'fpn', str(tmp_path / 'plain.pth'), **options).train()
        assert meta_of(tmp_path / name / 'iter_2.pth')['weights_seen'] == f'{expected}, CamVid labels'
        assert 'init: random neck, as ' in log_of(tmp_path / name)
    supervised_runner(data, tmp_path / 'd', 'fcn', None, load_from=str(first)).train()
    assert 'labels seen by the initial weights: CamVid labels' in log_of(tmp_path / 'd')
    supervised_runner(data, tmp_path / 'e', 'fcn', None).train()
    assert 'init: random backbone' in log_of(tmp_path / 'e')
    assert meta_of(tmp_path / 'e' / 'iter_2.pth')['weights_seen'] == 'CamVid labels'


def corrupted(path: str, target) -> str:
    content = open(path, 'rb').read()
    target.write_bytes(content[:len(content) - 1000])
    return str(target)


@pytest.mark.parametrize('head, options, message', [
    ('fcn', dict(model__backbone__type='ResNetV1c'), 'deep stem'),
    ('fcn', dict(model__backbone__depth=50), 'holds a ResNet-18, and the config builds a ResNet-50'),
    ('fcn', dict(model__backbone__init_cfg__prefix='encoder'), "no tensor whose name begins with 'encoder.'"),
    ('fcn', dict(model__backbone__init_cfg=dict(type='Pretrained', checkpoint=None)), 'set prefix in init_cfg'),
    ('fcn', dict(model__backbone__base_channels=16), 'the widths differ'),
    ('fpn', dict(model__neck__out_channels=32, model__decode_head__in_channels=[32]), 'the neck of the config'),
    ('fcn', dict(init='corrupted'), 'cut off; copy or download it again'),
    ('fcn', dict(init='work_dirs/nowhere.pth'), 'there is no file of weights'),
])
def test_a_wrong_start_ends_before_the_first_iteration(data, pretrained, tmp_path, head, options, message):
    options = dict(options)
    init = options.pop('init', pretrained)
    if init == 'corrupted':
        init = corrupted(pretrained, tmp_path / 'corrupted.pth')
    if 'model__backbone__init_cfg' in options:  # mmengine's own, which would train from random weights
        options['model__backbone__init_cfg'] = dict(_delete_=True, type='Pretrained', checkpoint=pretrained)
    runner = supervised_runner(data, tmp_path / 'run', head, init, **options)
    steps = []
    runner.model.backbone.register_forward_pre_hook(lambda *_: steps.append(1))
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        runner.train()
    assert not steps and runner.iter == 0
