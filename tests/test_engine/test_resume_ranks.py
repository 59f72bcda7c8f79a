"""resumed == uninterrupted on two processes, and signals that reach only one of them; gloo on one machine."""
import os
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from mmseg_unsup.utils.distributed import open_process_group
from ..conftest import write_images
from .resuming import EPOCHS, METHODS, differences, final, moments, resumable_config, terminate, train

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings('ignore'),
              pytest.mark.skipif(torch.cuda.is_available(), reason='tests the launch without a GPU')]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def join(rank: int, port: int) -> None:
    from mmengine.registry import init_default_scope
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='127.0.0.1',
                      MASTER_PORT=str(port))
    init_default_scope('mmseg')


def config(method, root, folder, **options):
    cfg = resumable_config(method, root, folder, **options)
    cfg.launcher = 'pytorch'
    cfg.randomness = dict(seed=0, diff_rank_seed=True)
    cfg.experiment_name = f'{method}_{os.path.basename(folder)}'
    open_process_group(cfg)
    return cfg


def run_all(rank, port, method, root, folder):
    """An undisturbed run, then per moment one that only rank 1 is told to stop, and its continuation."""
    join(rank, port)
    phases = train(config(method, root, folder / 'whole'))
    for name, at in moments(phases).items():
        stopped = train(config(method, root, folder / name), at, terminate if rank == 1 else lambda: None)
        assert len(stopped) == at + 1
        train(config(method, root, folder / name, resume=True))
    dist.destroy_process_group()


@pytest.mark.parametrize('method', METHODS)
def test_two_processes(tmp_path, method):
    root = write_images(tmp_path / 'images', 8)
    mp.spawn(run_all, (free_port(), method, root, tmp_path), nprocs=2)
    expected = final(tmp_path / 'whole')
    ranks = expected['run_state']['ranks']
    assert not torch.equal(ranks[0]['random']['torch'], ranks[1]['random']['torch'])
    runs = [folder for folder in tmp_path.iterdir() if (folder / f'epoch_{EPOCHS}.pth').exists()]
    assert len(runs) == (4 if method == 'iic' else 5)
    for folder in runs:
        assert differences(expected, final(folder)) == [], folder.name
