"""Faults of the data that are found before anything is computed."""
import cv2
import numpy as np
import pytest
from mmengine.runner import Runner

from mmseg_unsup.datasets import COCOStuff27Dataset
from mmseg_unsup.datasets.checking import check_label_sample
from mmseg_unsup.datasets.errors import LabelError
from mmseg_unsup.engine.hooks import CheckDataHook
from mmseg_unsup.registry import DATASETS
from mmseg_unsup.utils.config import load_config
from mmseg_unsup.utils.options import parse_options
from ..conftest import NO_WORKERS, ROOT, write_camvid, write_images
from .tiny import tiny_codes_config, tiny_config, tiny_runner

pytestmark = pytest.mark.filterwarnings('ignore')
CONFIG = f'{ROOT}/configs/picie/picie_fpn_camvid.py'


def camvid_runner(root, work_dir, name: str = 'picie/picie_fpn_camvid', **options) -> Runner:
    options = {key.replace('__', '.'): value for key, value in options.items()}
    cfg = load_config(f'{ROOT}/configs/{name}.py', dict(
        parse_options([word for word in NO_WORKERS if 'probe' not in word or 'picie' in name]), data_root=str(root),
        init=None, **options))
    cfg.work_dir = str(work_dir)
    return Runner.from_cfg(cfg)


def validation_images(root):
    return DATASETS.build(load_config(CONFIG, dict(data_root=str(root))).val_dataloader.dataset)


def spoil(root, kind: str, split: str = 'val') -> str:
    """One of the four label maps of a split."""
    path = root / 'labels' / split / f'{2:012d}.png'
    label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if kind == 'value':
        label[0, 0] = 77
    if kind == 'unreadable':
        path.write_bytes(path.read_bytes()[:100])
    elif kind == 'missing':
        path.unlink()
    else:
        cv2.imwrite(str(path), dict(value=label, size=label[1:], colour=np.stack([label] * 3, 2))[kind])
    return str(path)


@pytest.mark.parametrize('kind, message', [
    ('value', r'holds the value\(s\) \[77\]'), ('size', r'has size \(96, 71\), but its image'),
    ('unreadable', 'it is cut off'), ('missing', 'cannot be opened'), ('colour', r'has shape \(72, 96, 3\)')])
def test_the_faults_of_label_maps(tmp_path, kind, message):
    write_camvid(tmp_path / 'data')
    path = spoil(tmp_path / 'data', kind)
    with pytest.raises(LabelError, match=f'{path}.*{message}'):
        check_label_sample(validation_images(tmp_path / 'data'), 32)


def test_label_maps_are_checked_before_the_first_image_is_seen(tmp_path):
    write_camvid(tmp_path / 'data')
    path = spoil(tmp_path / 'data', 'value')
    runner = camvid_runner(tmp_path / 'data', tmp_path / 'run')
    runner.model.data_preprocessor.register_forward_pre_hook(lambda *args: pytest.fail('a batch was seen'))
    with pytest.raises(LabelError, match=path):
        runner.train()
    with pytest.raises(LabelError, match=path):
        camvid_runner(tmp_path / 'data', tmp_path / 'test').test()


@pytest.mark.parametrize('name, split', [('finetune/fpn_r18_camvid', 'train'), ('probe/camvid_probes', 'train')])
def test_so_are_those_of_supervised_training_and_of_probes(tmp_path, name, split):
    write_camvid(tmp_path / 'data')
    path = spoil(tmp_path / 'data', 'value', split)
    with pytest.raises(LabelError, match=path):
        camvid_runner(tmp_path / 'data', tmp_path / 'run', name).train()


def test_label_maps_that_training_does_not_read_may_be_anything(tmp_path):
    """Of the training images, and where nothing is scored; unreadable images are told by who reads them."""
    write_camvid(tmp_path / 'data')
    spoil(tmp_path / 'data', 'value', 'train')
    (tmp_path / 'data' / 'images' / 'val' / f'{1:012d}.jpg').write_bytes(b'')
    cfg = load_config(CONFIG, dict(data_root=str(tmp_path / 'data')))
    check_label_sample(DATASETS.build(cfg.train_dataloader.dataset), 9)
    check_label_sample(validation_images(tmp_path / 'data'), 9)


def test_the_sample_is_spread_over_the_set(tmp_path):
    write_camvid(tmp_path / 'data')
    dataset, read = validation_images(tmp_path / 'data'), []
    original = dataset.get_data_info
    dataset.get_data_info = lambda idx: read.append(idx) or original(idx)
    for count, expected in ((1, [0]), (2, [0, 3]), (3, [0, 2, 3]), (9, [0, 1, 2, 3])):
        read.clear()
        check_label_sample(dataset, count)
        assert read == expected


@pytest.mark.parametrize('option, message', [(-1, 'at least 0'), (2.5, 'a whole number')])
def test_bad_settings(image_folder, tmp_path, option, message):
    with pytest.raises(ValueError, match=f'label_maps must be .*{message}'):
        tiny_runner(image_folder, tmp_path, default_hooks__check_data__label_maps=option)


def test_fewer_images_than_a_batch(tmp_path):
    """Trained with a smaller one where batch norm allows it, else refused: no run ends well without a step."""
    root = write_images(tmp_path / 'images', 3)
    runner = tiny_runner(root, tmp_path / 'run', train_dataloader__batch_size=4)
    runner.train()
    assert runner.iter == 1
    with pytest.raises(ValueError, match='3 training images do not fill a batch of 4, so no step would be made: set '
                                         'train_dataloader.batch_size to 3 or less, or add images'):
        tiny_runner(root, tmp_path / 'run', train_dataloader__batch_size=4, train_dataloader__drop_last=True).train()


@pytest.mark.parametrize('method, n_images, batch_size', [('stego', 4, 1), ('smooseg', 1, 4)])
def test_images_that_are_compared_are_two_at_least(tmp_path, method, n_images, batch_size):
    root = write_images(tmp_path / 'images', n_images)
    cfg = tiny_codes_config(method, root, tmp_path / 'run', train_dataloader__batch_size=batch_size)
    with pytest.raises(ValueError, match=f'compares an image with others of its batch, and there are none: '
                                         f'train_dataloader.batch_size is {batch_size} for {n_images} images, set'):
        Runner.from_cfg(cfg).train()


def test_one_image_on_each_of_two_processes_is_compared(tmp_path, monkeypatch):
    root = write_images(tmp_path / 'images', 4)
    runner = Runner.from_cfg(tiny_codes_config('stego', root, tmp_path / 'run', train_dataloader__batch_size=1))
    monkeypatch.setattr('mmseg_unsup.engine.hooks.check_data_hook.get_world_size', lambda: 2)
    CheckDataHook._check_steps(runner)


def test_stego_without_partners_is_refused_before_its_first_step(tmp_path):
    root = write_images(tmp_path / 'images', 4)
    cfg = tiny_codes_config('stego', root, tmp_path / 'run')
    del cfg.default_hooks.neighbours
    with pytest.raises(ValueError, match='and there are no partners: train on a mmseg_unsup.PartnerDataset with'):
        Runner.from_cfg(cfg).train()
    cfg = tiny_codes_config('stego', write_images(tmp_path / 'one', 2), tmp_path / 'one_run')
    with pytest.raises(ValueError, match='2 training images cannot have 7 neighbours each: set .* to at most 1'):
        Runner.from_cfg(cfg).train()


def test_what_the_first_step_refuses_does_not_wait_for_the_evaluation_before_it(tmp_path, monkeypatch):
    root = write_images(tmp_path / 'images', 4)
    cfg = tiny_codes_config('cause', root, tmp_path / 'run', model__released_leak=True)
    cfg.default_hooks.initial_evaluation = dict(type='mmseg_unsup.InitialEvaluationHook')
    runner = Runner.from_cfg(cfg)
    monkeypatch.setattr(type(runner.val_loop), 'run', lambda self: pytest.fail('an evaluation'))
    with pytest.raises(RuntimeError, match='goes on with the teacher of a trained model: set load_from'):
        runner.train()


def test_a_training_without_an_epoch(image_folder, tmp_path):
    with pytest.raises(ValueError, match='train_cfg.max_epochs must be at least 1, but it is -1'):
        tiny_runner(image_folder, tmp_path, train_cfg__max_epochs=-1).train()


def test_fewer_images_than_processes_need(tmp_path, monkeypatch):
    root = write_images(tmp_path / 'images', 3)
    runner = Runner.from_cfg(tiny_config(root, tmp_path, train_dataloader__drop_last=True))
    for n_processes, remedy in ((2, 'batch of 4 on each of 2 processes.*batch_size to 1 or less'),
                                (8, 'on each of 8 processes.*: use fewer processes')):
        monkeypatch.setattr('mmseg_unsup.engine.hooks.check_data_hook.get_world_size', lambda n=n_processes: n)
        with pytest.raises(ValueError, match=remedy):
            runner.train()


def test_a_missing_curated_list_names_the_tool_that_writes_it(tmp_path):
    for kind in ('images', 'annotations'):
        (tmp_path / kind / 'train2017').mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=f'curated/train2017.txt. does not exist: write the curated lists by '
                                                f'`mmseg-unsup coco-stuff27 {tmp_path}`, set'):
        COCOStuff27Dataset(data_root=str(tmp_path), ann_file='curated/train2017.txt',
                           data_prefix=dict(img_path='images/train2017', seg_map_path='annotations/train2017'))
