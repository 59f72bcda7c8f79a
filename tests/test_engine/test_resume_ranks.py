"""resumed == uninterrupted on two processes, signals that reach only one of them, and ranks that are gone; gloo on one
machine."""
import os
import signal
import socket
import time

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.runner import Runner

from mmseg_unsup.utils.distributed import open_process_group
from ..conftest import write_images
from .resuming import (CLUSTERING, EPOCHS, METHODS, differences, final, moments, resumable_config,
                       terminate, train)
from .test_killed_runs import finish, in_child

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800), pytest.mark.filterwarnings('ignore'),
              pytest.mark.skipif(torch.cuda.is_available(), reason='tests the launch without a GPU')]

TIMEOUT = 30  # seconds that a rank waits for another


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def join(rank: int, port: int, world_size: int = 2) -> None:
    from mmengine.registry import init_default_scope
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world_size), MASTER_ADDR='127.0.0.1',
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
    Runner.from_cfg(resumable_config(method, root, tmp_path / 'imports'))  # of what the processes need
    mp.start_processes(run_all, (free_port(), method, root, tmp_path), nprocs=2, start_method='fork')
    expected = final(tmp_path / 'whole')
    ranks = expected['run_state']['ranks']
    assert not torch.equal(ranks[0]['random']['torch'], ranks[1]['random']['torch'])
    runs = [folder for folder in tmp_path.iterdir() if (folder / f'epoch_{EPOCHS}.pth').exists()]
    assert len(runs) == (6 if method in CLUSTERING else 5)
    for folder in runs:
        assert differences(expected, final(folder)) == [], folder.name


def lose_rank(rank, port, root, folder, phase, signum):
    """Rank 1 gets a signal that it cannot catch, at the first batch of a phase of the second epoch."""

    def vanish() -> None:
        if rank == 1:
            (folder / 'vanished').touch()
            os.kill(os.getpid(), signum)

    join(rank, port)
    train(config('picie', root, folder, env_cfg__dist_cfg__timeout=TIMEOUT), phase, vanish)


@pytest.mark.parametrize('signum', [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize('phase', [('train', 1, False), ('train', 1, True)], ids=['in_clustering', 'in_training'])
def test_a_rank_that_is_gone_ends_the_others(tmp_path, phase, signum):
    """Without a launcher, as on another machine. One that is dead is noticed at once, one that hangs in time."""
    root, port = write_images(tmp_path / 'images', 8), free_port()
    Runner.from_cfg(resumable_config('picie', root, tmp_path / 'imports'))
    ranks = [in_child(lose_rank, rank, port, root, tmp_path, phase, signum) for rank in range(2)]
    try:
        assert finish(ranks[0], 500) == 1
        late = time.time() - (tmp_path / 'vanished').stat().st_mtime
        assert late < TIMEOUT + 60
        assert (tmp_path / 'epoch_1.pth').exists() and not (tmp_path / 'epoch_2.pth').exists()
    finally:
        for rank in ranks:
            rank.kill()
            rank.join()
