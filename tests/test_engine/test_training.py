import os.path as osp
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image

from mmseg_unsup.engine import PCAInitHook
from mmseg_unsup.engine.feature_pass import CollapsedError, set_view_key
from mmseg_unsup.engine.fitting import feature_batches
from mmseg_unsup.functional import unit, view_features
from mmseg_unsup.models.necks import LateralSumNeck
from .tiny import FLOAT32, feats_of_the_teacher, tiny_config, tiny_runner


def state(runner):
    return {key: value.clone() for key, value in runner.model.state_dict().items()}


def largest_difference(first, second):
    assert first.keys() == second.keys()
    return max(float((first[key].double() - second[key].double()).abs().max()) for key in first if first[key].numel())


def test_a_folder_without_labels_trains_and_writes_maps(image_folder, tmp_path):
    runner = tiny_runner(image_folder, tmp_path, max_epochs=2)
    before = state(runner)
    runner.train()
    after = state(runner)
    for part in ('backbone.layer4.1.conv2.weight', 'neck.laterals.3.weight', 'decode_head.clusters.view1.weight'):
        assert not torch.equal(before[part], after[part])
    for i in range(8):
        name = f'{i:012d}.jpg'
        relative = osp.join('more', name) if i == 0 else name
        with Image.open(tmp_path / 'maps' / f'{relative}.png') as maps, Image.open(osp.join(image_folder,
                                                                                         relative)) as image:
            assert maps.size == image.size
            assert set(np.unique(maps)) <= {0, 1, 2}


def test_resume_is_exact(image_folder, tmp_path):
    """Two epochs equal one epoch, a stop, and one more from the checkpoint, also where report and pictures are
    drawn."""
    whole = tiny_runner(image_folder, tmp_path / 'whole', max_epochs=2)
    whole.train()
    tiny_runner(image_folder, tmp_path / 'parts', max_epochs=1, draws=True).train()
    resumed = tiny_runner(image_folder, tmp_path / 'parts', max_epochs=2, resume=True, draws=True)
    resumed.train()
    assert resumed.epoch == 2
    assert largest_difference(state(whole), state(resumed)) == 0


def test_resume_without_a_checkpoint_is_a_fresh_start(image_folder, tmp_path):
    """A job that is always launched with --resume starts from principal components too."""
    fresh = tiny_runner(image_folder, tmp_path / 'fresh')
    fresh.train()
    asked = tiny_runner(image_folder, tmp_path / 'asked', resume=True)
    asked.train()
    assert largest_difference(state(fresh), state(asked)) == 0
    assert 'principal components' in next((tmp_path / 'asked').glob('*/*.log')).read_text()


def test_the_teacher_gives_the_labels_that_a_second_pass_would_store(image_folder, tmp_path):
    """Labels of a pass right after clustering, in other batches, equal those that training draws on the fly."""
    runner = tiny_runner(image_folder, tmp_path, default_hooks__clustering__bn_mode='train', **FLOAT32)
    runner.train()
    model = runner.model
    frozen = dict(model.target_generator.state_dict())
    assert not torch.equal(frozen['backbone.conv1.weight'], model.backbone.conv1.weight)  # the model has moved on

    loader = runner.train_dataloader
    set_view_key(loader, runner.seed, 0)
    online, stored = {}, {}
    for batch in loader:
        batch = model.data_preprocessor(batch, True)
        for v, labels in enumerate(model.target_generator(batch['inputs'], batch['data_samples'])[0]):
            online.update({(s.sample_idx, v): label for s, label in zip(batch['data_samples'], labels)})

    def label(model, views, samples):  # one image at a time, straight from the formula
        for i, sample in enumerate(samples):
            single = [view[i:i + 1] for view in views]
            feats = view_features(lambda images: model.target_generator.extract(images)[0], single, [sample])
            for v, feat in enumerate(feats):
                distances = (unit(feat) - model.levels[0].prototypes[v][:, :, None, None]).square().sum(1)
                stored[sample.sample_idx, v] = distances.argmin(0)

    set_view_key(loader, runner.seed, 0)
    for batch in feature_batches(model, loader, 'test'):
        batch.made('labels of the formula', label)
    assert online.keys() == stored.keys() and len(online) == 16
    equal = sum(int((online[key] == stored[key]).sum()) for key in online)
    assert equal == 16 * 8 * 8


def test_class_weights_and_prototypes_come_from_the_clustering(image_folder, tmp_path):
    """One Lloyd over all images: prototypes are the normalised means of their members, weights inverse sizes."""
    runner = tiny_runner(image_folder, tmp_path, default_hooks__clustering__init_pixels=None,
                         default_hooks__clustering__kmeans=dict(n_iter=50, spherical=True), **FLOAT32)
    runner.train()
    model, level = runner.model, runner.model.levels[0]
    set_view_key(runner.train_dataloader, runner.seed, 0)
    views = [[], []]
    for batch in feature_batches(model, runner.train_dataloader, 'test'):
        feats = batch.made('labelled', feats_of_the_teacher)
        for v, feat in enumerate(feats):
            views[v].append(feat.permute(0, 2, 3, 1).reshape(-1, feat.size(1)))
    for v in range(2):
        rows = torch.cat(views[v]).double()
        labels = torch.cdist(rows, level.prototypes[v].double()).argmin(1)
        means = torch.stack([F.normalize(rows[labels == k].mean(0), dim=0) for k in range(3)])
        torch.testing.assert_close(level.prototypes[v].double(), means, atol=1e-4, rtol=0)
        inverse = 1 / torch.bincount(labels, minlength=3).double()
        torch.testing.assert_close(level.class_weights[v].double(), inverse / inverse.mean(), atol=1e-2, rtol=0)


@pytest.mark.parametrize('bn_mode', ['eval', 'train'])
def test_batch_norm_while_clustering(image_folder, tmp_path, bn_mode):
    runner = tiny_runner(image_folder, tmp_path, default_hooks__clustering__bn_mode=bn_mode)
    model = runner.model
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    hook = next(hook for hook in runner.hooks if type(hook).__name__ == 'PixelClusteringHook')
    set_view_key(runner.train_dataloader, 0, 0)
    before = model.backbone.bn1.running_mean.clone()
    hook.fit(runner)
    assert torch.equal(before, model.backbone.bn1.running_mean) == (bn_mode == 'eval')
    assert torch.equal(model.target_generator.backbone.bn1.running_mean, model.backbone.bn1.running_mean)
    assert not model.target_generator.backbone.bn1.training


def test_the_teacher_is_never_trained(image_folder, tmp_path):
    model = tiny_runner(image_folder, tmp_path).model
    model.train()
    assert not any(module.training for module in model.target_generator.modules())
    assert not any(param.requires_grad for param in model.target_generator.parameters())


def test_a_teacher_that_is_an_average(image_folder, tmp_path):
    """It follows every optimiser step, clusters and predicts; a resumed run has the same one."""
    momentum = 1 / (1.5 * 2)  # two steps an epoch
    runner = tiny_runner(image_folder, tmp_path / 'whole', max_epochs=2, model__target_generator__epochs=1.5)
    model, expected = runner.model, {}

    class Follow(Hook):
        priority = 'LOWEST'

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            for part in ('backbone', 'neck'):
                for name, param in getattr(model, part).named_parameters():
                    key = f'{part}.{name}'
                    start = expected.get(key, initial[key])
                    expected[key] = (1 - momentum) * start + momentum * param.detach()

    class Start(Hook):
        priority = 'NORMAL'  # after PCAInitHook, which comes first in the config

        def before_train_epoch(self, runner):
            initial.update({key: value.clone() for key, value in model.target_generator.named_parameters()})

    initial = {}
    runner.register_hook(Start())
    runner.register_hook(Follow())
    runner.train()
    for key, value in model.target_generator.named_parameters():
        torch.testing.assert_close(value, expected[key], atol=1e-5, rtol=1e-5)
    model.eval()
    images = torch.randn(1, 3, 32, 32)
    assert torch.equal(model.predicting_feat(images)[0], model.target_generator.extract(images)[0])
    assert torch.equal(model.predicting_map(images), model.predicting_feat(images)[0])
    assert not torch.equal(model.student_map(images), model.predicting_map(images))
    tiny_runner(image_folder, tmp_path / 'parts', max_epochs=1, model__target_generator__epochs=1.5).train()
    resumed = tiny_runner(image_folder, tmp_path / 'parts', max_epochs=2, model__target_generator__epochs=1.5,
                          resume=True)
    resumed.train()
    assert largest_difference(state(runner), state(resumed)) == 0


def test_over_clustering_averages_the_losses_of_all_heads(image_folder, tmp_path):
    """Shares 1 : 2 : ln 3 / ln 12; the last one is the weighting of PiCIE+H."""
    runner = tiny_runner(image_folder, tmp_path, model__over_clustering=[('2x', 2.), (12, 'log')])
    runner.train()
    model = runner.model
    assert [tuple(level.prototypes.shape) for level in model.levels] == [(2, 3, 16), (2, 6, 16), (2, 12, 16)]
    assert all(level.prototypes.any() for level in model.levels)
    batch = model.data_preprocessor(next(iter(runner.train_dataloader)), True)
    model.train()
    losses = model.loss(**batch)
    maps = view_features(model.student_map, batch['inputs'], batch['data_samples'], apart=True)
    feats = [unit(feat) for feat in maps]
    total = dict(loss_within=0., loss_cross=0.)
    shares = np.array([1, 2, np.log(3) / np.log(12)])
    shares /= shares.sum()
    by_level = model.target_generator(batch['inputs'], batch['data_samples'])
    for level, labels, share in zip(model.levels, by_level, shares):
        assert max(int(label.max()) for label in labels) < level.sets[0].n_clusters
        for a in range(2):
            for b in range(2):
                logits = torch.einsum('nchw,kc->nkhw', feats[a], level.prototypes[b]) / model.temperature
                name = 'loss_within' if a == b else 'loss_cross'
                total[name] += share * F.cross_entropy(logits, labels[b], level.class_weights[b]) / 2 / 2
    for name, value in total.items():  # half the mean over two terms
        torch.testing.assert_close(losses[name], value, check_dtype=False)


def test_necks_that_take_no_projection_are_left_alone():
    due = []
    for neck in (torch.nn.Identity(), LateralSumNeck(), LateralSumNeck(init='pca')):
        runner = SimpleNamespace(model=SimpleNamespace(neck=neck), _has_loaded=False, _train_loop=None)
        due.append(PCAInitHook().is_due(runner, 'before_train'))
    assert due == [False, False, True]


def test_testing_needs_the_checkpoint_only(image_folder, tmp_path):
    """The prototypes of the fresh k-means are in the checkpoint: no pass over the training images."""
    tiny_runner(image_folder, tmp_path / 'a').train()
    cfg = tiny_config(image_folder, tmp_path / 'b', load_from=str(tmp_path / 'a' / 'epoch_1.pth'))
    cfg.probe_dataloader.dataset.dataset.data_root = str(tmp_path / 'gone')
    Runner.from_cfg(cfg).test()
    for i in range(1, 8):
        first, second = (np.array(Image.open(tmp_path / x / 'maps' / f'{i:012d}.jpg.png')) for x in 'ab')
        np.testing.assert_array_equal(first, second)


def test_a_checkpoint_for_another_number_of_clusters(image_folder, tmp_path):
    tiny_runner(image_folder, tmp_path).train()
    with pytest.raises(ValueError, match=r'view1.weight of shape \(3, 16\) .* asks for \(4, 16\): set n_clusters of '
                       r'model'):
        tiny_runner(image_folder, tmp_path, n_clusters=4, max_epochs=2, resume=True).train()


def test_unreadable_images(image_folder, tmp_path, caplog):
    path = osp.join(image_folder, '000000000005.jpg')
    open(path, 'wb').close()
    with pytest.raises(ValueError, match=f'cannot use the image {path}'):
        tiny_runner(image_folder, tmp_path / 'raise').train()
    skip = dict(train_dataloader__dataset__on_error='skip', probe_dataloader__dataset__on_error='skip',
                val_cfg=None, val_dataloader=None, val_evaluator=None)
    tiny_runner(image_folder, tmp_path / 'skip', **skip).train()
    log = next((tmp_path / 'skip').glob('*/*.log')).read_text()
    assert f'1 of 8 images could not be read and were replaced by others, for example {path}' in log
    assert (tmp_path / 'skip' / 'unreadable_images.txt').read_text() == f'{path}\n'


@pytest.mark.parametrize('options, error, message', [
    (dict(train_cfg=dict(_delete_=True, type='IterBasedTrainLoop', max_iters=3)), TypeError,
     'IterBasedTrainLoop would cluster once and never again'),
    (dict(train_dataloader__sampler=dict(_delete_=True, type='InfiniteSampler')), TypeError,
     'needs sampler=dict.*but got InfiniteSampler'),
    (dict(n_clusters=2.5), ValueError, 'n_clusters must be at least 2 and a whole number, but it is 2.5'),
    (dict(default_hooks__clustering__class_weights='sqrt'), ValueError, "class_weights='sqrt' is not one of"),
    (dict(default_hooks__clustering__bn_mode='frozen'), ValueError, "bn_mode='frozen' is not one of"),
    (dict(default_hooks__clustering__interval=0), ValueError, 'interval must be at least 1, but it is 0'),
    (dict(n_clusters=600), ValueError, '512 feature cells cannot form 600 clusters'),
    (dict(probe_dataloader=None), KeyError, 'the config has no probe_dataloader'),
    (dict(model__target_generator__epochs=0), ValueError,
     'target_generator.epochs must be a positive number, but it is 0'),
    (dict(model__target_generator__epochs=0.1, default_hooks__clustering__bn_mode='train'), ValueError,
     "bn_mode='train' needs model.target_generator.epochs=None"),
    (dict(model__over_clustering=[('0.3x', 1.)]), ValueError, '.0.3x. is no number of clusters from 2 on'),
    (dict(model__over_clustering=[4]), ValueError, r'holds 4, but each entry must be \(K, weight'),
    (dict(model__over_clustering=[(5, 'lin')]), ValueError, 'neither positive nor .log.'),
    (dict(train_cfg__max_epochs=0), ValueError, 'max_epochs must be at least 1, but it is 0'),
    (dict(train_cfg__val_interval=0), ValueError, 'val_interval must be at least 1, but it is 0'),
    (dict(model__temperature=0), ValueError, 'temperature must be a positive number'),
])
def test_errors_before_hours_are_lost(image_folder, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        tiny_runner(image_folder, tmp_path, **options).train()


def test_a_checkpoint_of_another_model_is_not_scored(image_folder, tmp_path):
    torch.save(dict(state_dict={'a.b': torch.zeros(2)}), tmp_path / 'other.pth')
    runner = tiny_runner(image_folder, tmp_path / 'run', load_from=str(tmp_path / 'other.pth'))
    with pytest.raises(ValueError, match=r'has 0 of the \d+ tensors that the features of PiCIE need .*: use the config '
                                         'it was trained with, or another checkpoint$'):
        runner.test()


def test_pre_trained_backbone_is_counted(image_folder, tmp_path):
    tiny_runner(image_folder, tmp_path / 'source').train()
    checkpoint = str(tmp_path / 'source' / 'epoch_1.pth')
    init_cfg = dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.')
    runner = tiny_runner(image_folder, tmp_path / 'target', model__backbone__init_cfg=init_cfg)
    runner.train()
    log = next((tmp_path / 'target').glob('*/*.log')).read_text()
    assert f'init: loaded 120/120 backbone tensors from {checkpoint} (backbone.*)' in log
    assert log.count('PretrainedInit') == 0
    with pytest.raises(ValueError, match='only 0/120 backbone tensors.*wrong prefix.*set prefix in init_cfg'):
        tiny_runner(image_folder, tmp_path / 'wrong', model__backbone__init_cfg=dict(
            type='Pretrained', checkpoint=checkpoint, prefix='target_generator.')).train()


def test_a_stock_config_takes_the_backbone(image_folder, tmp_path):
    """Every tensor of mmseg's ResNet lands, bit by bit, by `prefix='backbone.'`."""
    from mmseg.registry import MODELS
    tiny_runner(image_folder, tmp_path).train()
    checkpoint = str(tmp_path / 'epoch_1.pth')
    child = tmp_path / 'finetune.py'
    child.write_text(f'''
_base_ = 'mmseg::deeplabv3plus/deeplabv3plus_r18b-d8_4xb2-80k_cityscapes-512x1024.py'
model = dict(
    pretrained=None,
    backbone=dict(
        base_channels=8,
        stem_channels=8,
        norm_cfg=dict(type='BN'),
        init_cfg=dict(type='Pretrained', checkpoint={checkpoint!r}, prefix='backbone.')))
''')
    backbone = MODELS.build(Config.fromfile(str(child)).model.backbone)
    backbone.init_weights()
    source = torch.load(checkpoint, weights_only=False)['state_dict']
    loaded = [torch.equal(value, source[f'backbone.{key}']) for key, value in backbone.state_dict().items()]
    assert len(loaded) == 120 and all(loaded)


@pytest.mark.parametrize('where', ['clustering epoch 1', 'fresh k-means'])
def test_collapsed_features_are_named(image_folder, tmp_path, where):
    """Clusters of nothing but zeros were taken for such that had never been fitted."""
    runner = tiny_runner(image_folder, tmp_path)
    neck = runner.model.neck
    neck.register_forward_hook(lambda module, inputs, outputs: tuple(0 * output for output in outputs)
                               if where != 'fresh k-means' or runner.iter else outputs)
    with pytest.raises(CollapsedError, match=f'{where}: the features of all images are zero, so the network has coll'):
        runner.train()
