"""MaskContrast through the runner, and on two processes."""
import itertools
import os
import os.path as osp
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
import torch.distributed as dist
from mmengine.hooks import Hook
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import Runner
from torch.nn.parallel import DistributedDataParallel

from mmseg_unsup.engine.hooks import TeacherHook
from mmseg_unsup.models.losses import mask_nce_loss
from mmseg_unsup.models.segmentors import mask_contrast
from mmseg_unsup.utils.config import load_config, merge_options
from ..conftest import ROOT, shared_file
from ..forks import spawn
from ..test_datasets.test_masked_images import write_masks
from ..test_models.test_mask_contrast import ONE, build, samples, views
from .tiny import tiny_config as picie_config

_count = itertools.count()


@pytest.fixture
def folders(image_folder, tmp_path):
    """Eight images and their masks."""
    images = tmp_path / 'images'
    return image_folder, str(write_masks(tmp_path / 'masks', images))


def tiny_config(folders, work_dir, max_epochs=1, **options):
    """``maskcontrast_deeplabv3_folder.py`` made small; ``options`` are dotted keys with ``__`` for the dots."""
    cfg = load_config(osp.join(ROOT, 'configs', 'maskcontrast', 'maskcontrast_deeplabv3_folder.py'))
    merge_options(cfg, dict(data_root=folders[0], mask_root=folders[1], size=32))
    merge_options(cfg, {
        'model.backbone.depth': 18, 'model.backbone.base_channels': 8, 'model.backbone.stem_channels': 8,
        'model.backbone.init_cfg': None, 'model.decode_head.in_channels': 64, 'model.decode_head.channels': 16,
        'model.decode_head.embedding_channels': 8, 'model.decode_head.dilations': (1, 2), 'model.queue_length': 7,
        'train_dataloader.batch_size': 3, 'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False, 'train_dataloader.pin_memory': False,
        'train_dataloader.drop_last': False, 'train_cfg.max_epochs': max_epochs})
    merge_options(cfg, {key.replace('__', '.'): value for key, value in options.items()})
    cfg.work_dir, cfg.experiment_name = str(work_dir), f'mask_contrast_{next(_count)}'
    return cfg


def tiny_runner(*args, **kwargs) -> Runner:
    return Runner.from_cfg(tiny_config(*args, **kwargs))


def state(runner):
    return {key: value.clone() for key, value in runner.model.state_dict().items()}


def config(name, **options):
    return load_config(osp.join(ROOT, 'configs', 'maskcontrast', f'maskcontrast_deeplabv3_{name}.py'), options)


def test_the_published_settings():
    """Table of the specification, for both settings; lr of epoch e is 0.004 (1 - e / 40)^0.9."""
    for name, batch_size, frozen in (('voc', 128, -1), ('voc_sup-saliency', 64, 2)):
        cfg = config(name)
        model, loader = cfg.model, cfg.train_dataloader
        assert loader.batch_size == batch_size and loader.drop_last and model.queue_length == 2 * batch_size
        assert model.backbone.frozen_stages == frozen
        assert model.momentum == 0.001 and model.loss_contrast.temperature == 0.5
        assert model.decode_head.embedding_channels == 32
        optimizer = dict(type='SGD', lr=0.004, momentum=0.9, weight_decay=1e-4)
        assert cfg.optim_wrapper.optimizer == optimizer and cfg.train_cfg.max_epochs == 40
        param = torch.nn.Parameter(torch.zeros(1))
        sgd = torch.optim.SGD([param], 0.004)
        scheduler = PARAM_SCHEDULERS.build(dict(cfg.param_scheduler[0], optimizer=sgd, end=40))
        for epoch in range(40):
            assert sgd.param_groups[0]['lr'] == pytest.approx(0.004 * (1 - epoch / 40)**0.9)
            sgd.step()
            scheduler.step()


@pytest.mark.parametrize('name', ['voc', 'voc_sup-saliency', 'msrc', 'folder'])
def test_variables_reach_their_places(name):
    cfg = config(name, data_root='images', mask_root='masks', objects='components', size=96, init='weights.pth')
    dataset = cfg.train_dataloader.dataset
    assert (dataset.dataset.data_root, dataset.dataset.mask_root) == ('images', 'masks')
    assert (dataset.pipeline[1].objects, dataset.pipeline[2].size) == ('components', 96)
    assert cfg.model.backbone.init_cfg.checkpoint == 'weights.pth'
    assert cfg.default_hooks.teacher
    assert config('msrc').train_dataloader.dataset.pipeline[2].size == 128


class Record(Hook):
    """Keeps what the model logs and the weights after every iteration."""
    priority = 'LOWEST'

    def __init__(self):
        self.outputs, self.keys, self.weights = [], [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.outputs.append({name: float(value) for name, value in outputs.items()})
        self.keys.append(runner.model.key_branch.module.decode_head.embedding.weight.clone())
        self.weights.append(runner.model.decode_head.embedding.weight.detach().clone())


def test_a_folder_trains(folders, tmp_path):
    """Eight images in batches of 3, 3 and 2."""
    runner, record = tiny_runner(folders, tmp_path / 'run', max_epochs=2), Record()
    runner.register_hook(record)
    before = state(runner)
    runner.train()
    after = state(runner)
    for key in ('backbone.conv1.weight', 'decode_head.saliency.weight', 'key_branch.module.backbone.conv1.weight',
                'queue.prototypes'):
        assert not torch.equal(before[key], after[key]), key
    assert int(after['queue.pointer']) == 16 % 7 and int(after['key_branch.steps']) == 7  # the copy, and six steps
    assert len(record.outputs) == 6
    for output in record.outputs:
        assert output['loss'] == pytest.approx(output['loss_contrast'] + output['loss_saliency'], rel=1e-5)
        assert 0 <= output['acc_contrast'] <= 100 and 0 < output['foreground'] < 1
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    assert 'masks: 8 of 8 images are used' in log and 'acc_contrast' in log


@pytest.mark.parametrize('options', [
    dict(optim_wrapper__accumulative_counts=2),
    dict(optim_wrapper__accumulative_counts=2, optim_wrapper__type='mmseg_unsup.BFloat16OptimWrapper'), {}])
def test_the_key_branch_moves_once_an_optimiser_step(folders, tmp_path, options):
    """Three iterations an epoch: in twos, steps come after iterations 2, 4 and 6."""
    runner, record = tiny_runner(folders, tmp_path, max_epochs=2, model__momentum=0.25, **options), Record()
    runner.register_hook(record)
    start = runner.model.decode_head.embedding.weight.detach().clone()
    runner.train()
    key, step_at = start, (2, 4, 6) if options else range(1, 7)
    for i, (theirs, weight) in enumerate(zip(record.keys, record.weights), start=1):
        if i in step_at:
            key = 0.75 * key + 0.25 * weight
        torch.testing.assert_close(theirs, key, atol=1e-6, rtol=1e-5)
    assert not torch.equal(record.keys[-1], start)
    assert int(runner.model.key_branch.steps) == 1 + len(step_at)


@pytest.mark.parametrize('anchor', ['stride', 5])
def test_resume_is_exact(folders, tmp_path, anchor):
    """Two epochs equal one epoch, a stop, and one more: dropout, sampled anchors, queue and key branch included."""
    options = dict(model__anchor=anchor, model__decode_head__dropout_ratio=0.5, param_scheduler__0__end=40)
    whole = tiny_runner(folders, tmp_path / 'whole', max_epochs=2, **options)
    whole.train()
    torch.manual_seed(99)  # whatever the process did before
    tiny_runner(folders, tmp_path / 'parts', max_epochs=1, **options).train()
    torch.manual_seed(100)
    resumed = tiny_runner(folders, tmp_path / 'parts', max_epochs=2, resume=True, **options)
    resumed.train()
    first, second = state(whole), state(resumed)
    assert first.keys() == second.keys() and resumed.epoch == 2
    assert [key for key in first if not torch.equal(first[key], second[key])] == []


def test_dropout_differs_between_iterations_and_seeds(folders, tmp_path):
    draws = []

    class Draw(Hook):
        priority = 'LOWEST'

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            draws.append(float(torch.rand(())))

    for seed in (0, 0, 1):
        runner = tiny_runner(folders, tmp_path / str(len(draws)), randomness=dict(seed=seed))
        runner.register_hook(Draw())
        runner.train()
    assert draws[:3] == draws[3:6] and len(set(draws[3:])) == 6


def test_the_key_branch_starts_from_loaded_weights(folders, tmp_path):
    """``load_from`` with a file that has no key branch, and weights that move little."""
    source = tiny_runner(folders, tmp_path / 'source')
    weights = {key: value + 0.5 for key, value in source.model.state_dict().items() if key.startswith('backbone.conv1')}
    torch.save(dict(state_dict=weights), tmp_path / 'weights.pth')
    runner = tiny_runner(folders, tmp_path / 'target', load_from=str(tmp_path / 'weights.pth'))
    runner.train()
    theirs = runner.model.key_branch.module.backbone.conv1.weight
    torch.testing.assert_close(theirs, weights['backbone.conv1.weight'], atol=1e-2, rtol=0)


def test_the_hook_leaves_a_model_without_a_teacher_alone():
    model = torch.nn.Linear(1, 1)
    before = model.weight.clone()
    runner = SimpleNamespace(model=model, optim_wrapper=SimpleNamespace(should_update=lambda: True))
    TeacherHook().before_train(runner)
    TeacherHook().after_train_iter(runner, 0)
    assert torch.equal(model.weight, before)


@pytest.mark.parametrize('method', ['PiCIE', 'MaskContrast'])
def test_a_teacher_that_nothing_moves_is_an_error(folders, tmp_path, method):
    cfg = tiny_config(folders, tmp_path) if method == 'MaskContrast' else picie_config(folders[0], tmp_path)
    assert cfg.default_hooks.pop('teacher').type == 'mmseg_unsup.TeacherHook'
    with pytest.raises(RuntimeError, match='the teacher was not started .* add teacher=.*TeacherHook.* default_hooks'):
        Runner.from_cfg(cfg).train()


def test_several_objects_an_image(folders, tmp_path):
    """Masks with two discs: as components each has a prototype of its own."""
    for path in sorted((tmp_path / 'masks').rglob('*.png')):
        mask = cv2.imread(str(path), 0)
        mask[:] = 0
        mask[10:50, 5:40], mask[20:60, 55:90] = 255, 255
        cv2.imwrite(str(path), mask)
    pointers = []
    for objects in ('image', 'components'):
        cfg = tiny_config(folders, tmp_path / objects, model__queue_length=1000)
        merge_options(cfg, dict(objects=objects))
        runner = Runner.from_cfg(cfg)
        runner.train()
        pointers.append(int(runner.model.queue.pointer))
    assert pointers[0] == 8 and 8 < pointers[1] <= 16


# every image of the global batch, with one object; image 4 has none in the query, image 5 none in the key
N_IMAGES, N_STEPS = 6, 3


def global_batch(step):
    masks = [mask.clone() for mask in (ONE * 2)]
    masks[4][0], masks[5][1] = 0, 0
    return views(N_IMAGES, seed=step), masks


GN = dict(type='GN', num_groups=2, requires_grad=True)  # batch norm would see other batches
OPTIONS = dict(
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, strides=(1, 2, 1, 1),
                  dilations=(1, 1, 2, 4), norm_cfg=GN),
    decode_head=dict(type='mmseg_unsup.EmbeddingHead', in_channels=64, channels=12, embedding_channels=6,
                     dilations=(1, 2), dropout_ratio=0., norm_cfg=GN))


def share(step, rank, world_size):
    (query, key), masks = global_batch(step)
    return dict(inputs=[query[rank::world_size], key[rank::world_size]],
                data_samples=samples(*masks[rank::world_size]), mode='loss')


def worker(rank, world_size, cross_rank, folder):
    torch.set_num_threads(1)
    from mmengine.registry import init_default_scope
    init_default_scope('mmseg')
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=world_size)
    model = build(cross_rank_negatives=cross_rank, momentum=0.25, **OPTIONS)
    if rank:
        torch.nn.init.zeros_(model.queue.prototypes)  # DDP starts all ranks from rank 0
    wrapped = DistributedDataParallel(model)
    optimizer, losses = torch.optim.SGD(model.parameters(), 0.1), []
    for step in range(N_STEPS):
        optimizer.zero_grad()
        terms = wrapped(**share(step, rank, world_size))
        (terms['loss_contrast'] + terms['loss_saliency']).backward()
        optimizer.step()
        model.follow()
        losses.append(float(terms['loss_contrast'].detach()))
    torch.save((losses, model.state_dict()), f'{folder}/{rank}.pt')
    dist.destroy_process_group()


def in_one_process(world_size, cross_rank, monkeypatch):
    """The same by the definition: per step, each rank's loss against the queue and, if so, the other ranks'
    prototypes; mean gradient; then the prototypes of all images in order."""
    model = build(cross_rank_negatives=cross_rank, momentum=0.25, **OPTIONS)
    optimizer, losses = torch.optim.SGD(model.parameters(), 0.1), [[] for _ in range(world_size)]
    for step in range(N_STEPS):
        (_, key), masks = global_batch(step)
        prototypes, present = model._prototypes(model.key_branch(key)[0], torch.stack(masks)[:, 1], 1)
        images = torch.nonzero(present)[:, 0]
        held = model.queue.prototypes.clone()
        optimizer.zero_grad()
        for rank in range(world_size):
            mine = images % world_size == rank
            monkeypatch.setattr(mask_contrast, 'gather_rows', lambda *_, found=(prototypes[present], mine): found)
            monkeypatch.setattr(model.queue, 'enqueue', lambda rows: None)
            terms = model.loss(**{key: value for key, value in share(step, rank, world_size).items() if key != 'mode'})
            ((terms['loss_contrast'] + terms['loss_saliency']) / world_size).backward()
            losses[rank].append(float(terms['loss_contrast'].detach()))
            monkeypatch.undo()
        assert torch.equal(held, model.queue.prototypes)
        model.queue.enqueue(prototypes[present])
        optimizer.step()
        model.follow()
    return losses, model.state_dict()


@pytest.mark.parametrize('cross_rank', [False, True])
def test_two_processes_equal_one(tmp_path, monkeypatch, cross_rank):
    losses, expected = in_one_process(2, cross_rank, monkeypatch)
    spawn(worker, (2, cross_rank, str(tmp_path)), nprocs=2)
    for rank in range(2):
        theirs, values = torch.load(tmp_path / f'{rank}.pt')
        np.testing.assert_allclose(theirs, losses[rank], rtol=1e-4)
        for key, value in expected.items():
            torch.testing.assert_close(values[key], value, atol=1e-5, rtol=1e-4)


def test_prototypes_of_other_ranks_are_negatives(monkeypatch):
    """The option adds exactly those rows to the negatives."""
    captured = []
    foreign = torch.nn.functional.normalize(torch.randn(4, 6), dim=1)
    for cross_rank in (False, True):
        model = build(cross_rank_negatives=cross_rank)
        monkeypatch.setattr(mask_contrast, 'gather_rows', lambda rows, images: (torch.cat(
            [foreign[:2], rows, foreign[2:]]), torch.tensor([0, 0, 1, 1, 1, 0, 0]).bool()))
        model.loss_contrast.register_forward_hook(lambda module, args, output: captured.append((args, output)))
        model.loss(views(3), samples(*ONE))
    (without, _), (args, output) = captured
    assert torch.equal(args[3], torch.cat([foreign, without[3]]))
    torch.testing.assert_close(output, mask_nce_loss(*args))


@pytest.mark.long
def test_losses_fall_on_photographs(tmp_path):
    """MSRC v2, everything that is no background class as the object."""
    root = shared_file('data', 'msrc_v2')
    (tmp_path / 'masks').mkdir()
    (tmp_path / 'images').mkdir()
    for name in sorted(path[:-4] for path in os.listdir(osp.join(root, 'labels', 'train')))[:48]:
        labels = cv2.imread(osp.join(root, 'labels', 'train', f'{name}.png'), 0)
        mask = ~np.isin(labels, [0, 1, 2, 5, 7, 16, 255])
        if mask.mean() > 0.02:
            cv2.imwrite(str(tmp_path / 'masks' / f'{name}.png'), mask * np.uint8(255))
            image = cv2.imread(osp.join(root, 'images', 'train', f'{name}.jpg'))
            cv2.imwrite(str(tmp_path / 'images' / f'{name}.png'), image)
    folders = str(tmp_path / 'images'), str(tmp_path / 'masks')
    weights = shared_file('weights', 'resnet18_in1k_grafted.pth')
    init_cfg = dict(type='Pretrained', checkpoint=weights)
    cfg = tiny_config(folders, tmp_path / 'run', max_epochs=12, train_dataloader__batch_size=8,
                      train_dataloader__drop_last=True, model__queue_length=16)
    cfg.model.backbone.update(base_channels=64, stem_channels=64, init_cfg=init_cfg)
    cfg.model.decode_head.update(in_channels=512, channels=64, embedding_channels=32)
    merge_options(cfg, dict(size=64, eval_size=64))
    runner, record = Runner.from_cfg(cfg), Record()
    runner.register_hook(record)
    runner.train()
    for name in ('loss_contrast', 'loss_saliency'):
        values = np.array([output[name] for output in record.outputs])
        quarter = len(values) // 4
        middle = values[quarter:2 * quarter] if name == 'loss_contrast' else values[:quarter]  # once the queue is full
        assert values[-quarter:].mean() < middle.mean() - 0.01, name
    # by chance one prototype of 8 of the batch and 16 of the queue is the nearest
    assert np.mean([output['acc_contrast'] for output in record.outputs[-quarter:]]) > 3 * 100 / 24
