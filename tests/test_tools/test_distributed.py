"""Two processes on a machine without a GPU, through the shell script that users run."""
import os
import re
import socket
import subprocess
import sys

import pytest
import torch

from ..conftest import ROOT, run_tool
from .test_train_and_test import SMALL, coco_root, config, write_curated_lists  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.skipif(torch.cuda.is_available(), reason='tests the launch without a GPU')]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def launch(script, *args, **env):
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ['PATH']])
    done = subprocess.run([f'{ROOT}/tools/{script}', *map(str, args)], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=dict(os.environ, PATH=path, OMP_NUM_THREADS='1', **env))
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


def scores(log, phase):
    return re.findall(rf'Epoch\({phase}\).*?(aAcc: .*?)  data_time', log)


def test_two_processes_train_and_score_like_one(coco_root, tmp_path):  # noqa: F811
    """Three validation images over two processes: the last round is uneven."""
    write_curated_lists(coco_root)
    options = ['--cfg-options', f'data_root={coco_root}', *SMALL, 'n_clusters=5', 'train_cfg.max_epochs=1',
               'train_dataloader.batch_size=3', 'val_dataloader.batch_size=1', 'test_dataloader.batch_size=1']
    options += [f'{loader}_dataloader.pin_memory=False' for loader in ('train', 'probe', 'val', 'test')]
    log = launch('dist_train.sh', config('picie_fpn_cocostuff'), 2, '--work-dir', tmp_path / 'run', *options,
                 PORT=str(free_port()))
    trained = scores(log, 'val')
    assert len(trained) == 2
    checkpoint = tmp_path / 'run' / 'epoch_1.pth'
    single = run_tool('test.py', config('picie_fpn_cocostuff'), checkpoint, '--work-dir', tmp_path / 'one', *options)
    double = launch('dist_test.sh', config('picie_fpn_cocostuff'), checkpoint, 2, '--work-dir', tmp_path / 'two',
                    *options, PORT=str(free_port()))
    assert scores(single.stdout, 'test') == scores(double, 'test') == trained[1:]
