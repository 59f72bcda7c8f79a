"""The end of a run is its result, whatever its data workers do then."""
import gc
import multiprocessing
import os
import re
import signal
import time

import cv2
import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from torch.utils.data import DataLoader, Dataset

from mmseg_unsup.utils.preemption import EXIT_CODE, listening, protect_workers
from mmseg_unsup.registry import HOOKS
from mmseg_unsup.utils.data_workers import end_data_workers, ending_data_workers
from ..conftest import ROOT, smooth_image, write_images
from ..forks import run_script
from ..test_tools.test_train_and_test import SMALL

SET = torch.arange(6)


@pytest.fixture(autouse=True)
def no_workers_before():
    end_data_workers()  # of other tests


def test_persistent_workers_end_and_their_loader_can_be_read_again():
    loader = DataLoader(SET, num_workers=2, persistent_workers=True)
    idle = DataLoader(SET[:1], num_workers=2, persistent_workers=True)  # one worker gets no image
    with ending_data_workers():
        assert [int(x) for x in loader] == SET.tolist() and len(list(idle)) == 1
        assert len(multiprocessing.active_children()) == 4
    assert multiprocessing.active_children() == []
    assert [int(x) for x in loader] == SET.tolist()
    end_data_workers()
    assert multiprocessing.active_children() == []


def test_loaders_out_of_sight_of_the_garbage_collector():
    loader = DataLoader(SET, num_workers=1, persistent_workers=True)
    list(loader)
    gc.freeze()  # keeps pages of the heap shared with workers
    end_data_workers()
    assert multiprocessing.active_children() == []


def test_workers_that_the_traceback_of_an_error_holds():

    @ending_data_workers()
    def fail() -> None:
        for _ in DataLoader(SET, num_workers=2):
            raise KeyError(len(multiprocessing.active_children()))

    with pytest.raises(KeyError) as caught:
        fail()
    assert caught.value.args == (2,) and multiprocessing.active_children() == []


class Stuck(Dataset):
    """Its second image takes a minute, as one on a server that does not answer."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, i: int) -> int:
        time.sleep(60 * i)
        return i


def test_stuck_workers_that_outlive_signals_to_a_training(monkeypatch):
    monkeypatch.setattr(torch.utils.data._utils, 'MP_STATUS_CHECK_INTERVAL', 0.2)  # seconds that torch waits
    start = time.monotonic()
    with pytest.raises(KeyError), ending_data_workers(), listening():
        loader = DataLoader(Stuck(), num_workers=2)
        protect_workers(loader)
        batches = iter(loader)  # which outlives the training, as that of a persistent loader does
        next(batches)
        raise KeyError
    while multiprocessing.active_children() and time.monotonic() - start < 30:  # they got SIGTERM
        time.sleep(0.05)
    assert multiprocessing.active_children() == []


@HOOKS.register_module()
class Trouble(Hook):
    """In the second step: an error, or signals to the whole job, as terminals and schedulers send them."""

    def __init__(self, signum=None, count=1):
        self.signum, self.count = signum, count

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 1 and self.signum is None:
            raise FloatingPointError('trouble')
        for _ in range(self.count if runner.iter == 1 else 0):
            os.killpg(0, getattr(signal, self.signum))


def begin_session() -> None:
    """Signals to the job are for its processes alone; that this is of this module gives them ``Trouble``."""
    os.setsid()


STOCK = 'fcn_r18-d8_4xb2-80k_cityscapes-512x1024'
LOADERS = ('train_dataloader', 'probe_dataloader', 'val_dataloader', 'test_dataloader')


def training(name: str, workers: int, **trouble) -> list:
    """Arguments of a training of two steps; see ``Trouble``."""
    small = [option for option in SMALL if 'workers' not in option]
    small += [f'{loader}.num_workers={workers}' for loader in LOADERS]
    small += [f'{loader}.persistent_workers={workers > 0}' for loader in LOADERS]
    if trouble:
        trouble['type'] = 'mmseg_unsup.Trouble'
    return [f'{ROOT}/tools/train.py', 'mmseg_unsup::picie/picie_fpn_folder.py', '--work-dir', name, '--cfg-options',
            'data_root=images', f'out={name}/maps', 'n_clusters=3', *small,
            'val_dataloader.batch_size=1', 'test_dataloader.batch_size=1', 'train_cfg.max_epochs=1',
            'model.over_clustering=[]', *(f'default_hooks.trouble.{key}={value}' for key, value in trouble.items())]


def stock_training(folder) -> list:
    """Arguments of a training by a config of MMSegmentation, and its images; the folder of the run is the default."""
    rng = np.random.default_rng(0)
    for split in ('train', 'val'):
        for kind in ('leftImg8bit', 'gtFine'):
            (folder / 'cityscapes' / kind / split).mkdir(parents=True)
        for i in range(2):
            cv2.imwrite(f'{folder}/cityscapes/leftImg8bit/{split}/{i}_leftImg8bit.png', smooth_image(rng, 32, 64))
            labels = rng.integers(0, 19, (32, 64)).astype(np.uint8)
            cv2.imwrite(f'{folder}/cityscapes/gtFine/{split}/{i}_gtFine_labelTrainIds.png', labels)
    loaders = [f'{loader}.{key}' for loader in LOADERS if loader != 'probe_dataloader'
               for key in ('num_workers=2', 'dataset.data_root=cityscapes')]
    small = ['train_dataloader.dataset.pipeline.RandomResize.scale=(64,32)',
             'train_dataloader.dataset.pipeline.RandomCrop.crop_size=(32,32)',
             'val_dataloader.dataset.pipeline.Resize.scale=(64,32)', 'model.data_preprocessor.size=(32,32)']
    return [f'{ROOT}/tools/train.py', f'mmseg::fcn/{STOCK}.py', '--cfg-options', 'model.pretrained=None',
            'train_cfg.max_iters=2', 'train_cfg.val_interval=2', *loaders, *small]


@pytest.mark.slow
def test_trainings_end_with_their_result(tmp_path):
    """With and without workers; done, failed, and stopped by signals to the whole job."""
    write_images(tmp_path / 'images', 8)
    runs = dict(done_0=dict(workers=0), done_2=dict(workers=2), done_4=dict(workers=4), failed=dict(workers=2, count=1),
                interrupted=dict(workers=2, signum='SIGINT'), stopped=dict(workers=4, signum='SIGTERM'),
                ended=dict(workers=2, signum='SIGTERM', count=2))
    commands = {name: training(name, **arguments) for name, arguments in runs.items()}
    commands['stock'] = stock_training(tmp_path)
    env = dict(os.environ, PYTHONPATH=ROOT, OMP_NUM_THREADS='1')
    ended = {name: run_script(path, args, cwd=tmp_path, env=env, restrict=begin_session)
             for name, (path, *args) in commands.items()}
    status = {name: done.returncode for name, done in ended.items()}
    logs = {name: done.stdout for name, done in ended.items()}
    last = {name: log.splitlines()[-1] for name, log in logs.items()}
    assert status == dict(done_0=0, done_2=0, done_4=0, failed=2, interrupted=130, stopped=EXIT_CODE,
                          ended=128 + signal.SIGTERM, stock=0)
    assert 'iteration 2/2  loss ' in logs['stock'] and (tmp_path / 'work_dirs' / STOCK / 'iter_2.pth').exists()
    for name in ('done_0', 'done_2', 'done_4', 'stock'):
        assert last[name].startswith('  log  ') and last[name].endswith('.log') and 'time      about' in logs[name]
    assert last['failed'] == 'error: trouble' and last['interrupted'] == 'stopped'
    assert 'stopped; all that was done is in stopped/preempted.pth; to go on:' in logs['stopped']
    assert last['stopped'].endswith(' --resume')
    assert not any('Traceback' in log for log in logs.values())
    assert [name for name, log in logs.items() if re.search('ignored|Terminated|DataLoader worker', log)] == []
