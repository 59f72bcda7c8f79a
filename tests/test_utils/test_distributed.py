"""Ranks that disagree, ranks that never answer, and launchers without a GPU; gloo on one machine."""
import json
import os
import socket
import time
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from torch.utils.data import DataLoader

from mmseg_unsup.datasets import UnlabelledFolder, ViewDataset
from mmseg_unsup.engine import ViewEpochHook
from mmseg_unsup.utils import distributed
from mmseg_unsup.utils.config_keys import flatten_config
from mmseg_unsup.utils.distributed import check_ranks_agree, open_process_group
from ..conftest import write_images
from ..forks import spawn

cpu_only = pytest.mark.skipif(torch.cuda.is_available(), reason='tests the launch without a GPU')


def launch_config(launcher: str, **dist_cfg) -> Config:
    return Config(dict(launcher=launcher, model=dict(), default_hooks=dict(),
                       env_cfg=dict(dist_cfg=dict(backend='nccl', **dist_cfg))))


def gather(monkeypatch, *facts_by_rank):
    """Let these facts be what the ranks hold; rank 0 calls."""
    texts = [{name: repr(value) for name, value in facts.items()} for facts in facts_by_rank]
    monkeypatch.setattr(distributed, 'get_world_size', lambda: len(texts))
    monkeypatch.setattr(distributed, 'all_gather_object', lambda mine: texts)


def test_one_process_gathers_nothing(monkeypatch):
    monkeypatch.setattr(distributed, 'all_gather_object', None)
    check_ranks_agree(dict(a=1), 'remedy')


def test_message_names_three_facts_and_the_first_rank_that_differs(monkeypatch):
    first = dict(equal=1, a=27, b='x', c=[1], d=None)
    third = dict(equal=1, a=21, b='y' * 200, c=[2], e=0)
    gather(monkeypatch, first, first, third)
    with pytest.raises(ValueError) as error:
        check_ranks_agree(first, 'do this')
    long = "'" + 'y' * 96 + '...'
    assert str(error.value) == (f"the processes disagree: a is 27 on rank 0 and 21 on rank 2; b is 'x' on rank 0 and "
                                f'{long} on rank 2; c is [1] on rank 0 and [2] on rank 2; 2 more differ: do this')


def test_a_missing_fact_differs(monkeypatch):
    gather(monkeypatch, dict(), dict(a=1))
    with pytest.raises(ValueError, match='a is absent on rank 0 and 1 on rank 1: do this'):
        check_ranks_agree(dict(), 'do this')


def test_config_leaves():
    cfg = Config(dict(a=dict(b=[dict(c=1), ()], d={}), e=None))
    assert dict(flatten_config(cfg)) == {'a.b.0.c': 1, 'a.b.1': (), 'a.d': {}, 'e': None}


@pytest.mark.parametrize('launcher, missing', [('pytorch', 'MASTER_PORT'), ('slurm', 'SLURM_NODELIST'),
                                               ('mpi', 'OMPI_COMM_WORLD_RANK')])
def test_incomplete_launch(monkeypatch, launcher, missing):
    for name in distributed._LAUNCHERS[launcher][0]:
        monkeypatch.setenv(name, '0')
    monkeypatch.delenv(missing)
    with pytest.raises(ValueError, match=rf'--launcher {launcher} needs .* but {missing} is not set: start all'):
        open_process_group(launch_config(launcher))


@pytest.mark.parametrize('timeout', ['10', 0, -1, True])
def test_bad_timeout(monkeypatch, timeout):
    for name in distributed._LAUNCHERS['pytorch'][0]:
        monkeypatch.setenv(name, '0')
    with pytest.raises(ValueError, match=f'timeout must be a positive number of seconds, but it is {timeout!r}'):
        open_process_group(launch_config('pytorch', timeout=timeout))


def test_unknown_launcher():
    with pytest.raises(ValueError, match="'ray' is not one of none, pytorch, slurm, mpi"):
        open_process_group(launch_config('ray'))


def test_slurm_host_that_cannot_be_found(monkeypatch):
    monkeypatch.setenv('PATH', '')
    with pytest.raises(ValueError, match=r"SLURM_NODELIST='node\[3-5\]' .* set MASTER_ADDR"):
        distributed._first_slurm_host('node[3-5]')


def test_with_a_gpu_mmengine_opens_the_group(monkeypatch):
    for name in distributed._LAUNCHERS['pytorch'][0]:
        monkeypatch.setenv(name, '0')
    calls = []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.setattr(dist, 'get_backend', lambda: 'nccl')
    monkeypatch.setattr(distributed, 'set_multi_processing', lambda **kwargs: calls.append(kwargs))
    monkeypatch.setattr(distributed, 'init_dist', lambda *args, **kwargs: calls.append((args, kwargs)))
    cfg = launch_config('pytorch', timeout=7)
    cfg.env_cfg.mp_cfg = dict(mp_start_method='fork')
    before = cfg.to_dict()
    open_process_group(cfg)
    assert calls == [dict(mp_start_method='fork', distributed=True), (('pytorch', ), dict(backend='nccl', timeout=7))]
    assert cfg.to_dict() == before
    monkeypatch.setenv('LOCAL_RANK', '2')
    with pytest.raises(ValueError, match='process 2 of this machine has no GPU .* has 2: start at most 2 processes'):
        open_process_group(cfg)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def launcher_variables(launcher, rank, port):
    sources = dict(
        slurm=dict(SLURM_PROCID=rank, SLURM_NTASKS=2, SLURM_LOCALID=rank, SLURM_NODELIST='here'),
        mpi=dict(OMPI_COMM_WORLD_RANK=rank, OMPI_COMM_WORLD_SIZE=2, OMPI_COMM_WORLD_LOCAL_RANK=rank),
        pytorch=dict(RANK=rank, WORLD_SIZE=2, LOCAL_RANK=rank))
    return {name: str(value) for name, value in
            dict(sources[launcher], MASTER_ADDR='127.0.0.1', MASTER_PORT=port).items()}


def refusal(function, *args):
    try:
        function(*args)
    except ValueError as error:
        return str(error)


def compare(rank, folder, ports):
    """On each launcher: the sum of the ranks. Then what ranks with other folders are told, and equal ones."""
    torch.set_num_threads(1)
    for launcher in ('slurm', 'mpi'):
        os.environ.update(launcher_variables(launcher, rank, ports[launcher]))
        open_process_group(launch_config(launcher, timeout=60))
        total = torch.tensor(rank + 1)
        dist.all_reduce(total)
        assert int(total) == 3 and os.environ['LOCAL_RANK'] == str(rank)
        if launcher == 'mpi':
            told = [tell(f'{folder}/{name}{rank}', 0) for name in ('equal', 'renamed', 'fewer')]
            told += [tell(f'{folder}/equal0', rank), refusal(check_ranks_agree, dict(k=rank), 'remedy')]
            with open(f'{folder}/{rank}.json', 'w') as file:
                json.dump(told, file)
            dist.barrier()
        dist.destroy_process_group()


def tell(root, epoch):
    dataset = ViewDataset(UnlabelledFolder(root), [])
    loader = DataLoader(dataset, sampler=DefaultSampler(dataset))
    return refusal(ViewEpochHook().before_train, SimpleNamespace(
        train_dataloader=loader, val_dataloader=DataLoader(dataset), val_loop=True, epoch=epoch))


@cpu_only
def test_two_processes_compare_what_they_have(tmp_path):
    """Equal folders in different places pass; one name, one image or one epoch more is refused on both ranks."""
    for name in ('equal', 'renamed', 'fewer'):
        for rank in range(2):
            write_images(tmp_path / f'{name}{rank}', 5 - rank * (name == 'fewer'))
    (tmp_path / 'renamed1' / f'{3:012d}.jpg').rename(tmp_path / 'renamed1' / 'other.jpg')
    spawn(compare, (str(tmp_path), dict(slurm=free_port(), mpi=free_port())), nprocs=2)
    told = [json.loads((tmp_path / f'{rank}.json').read_text()) for rank in range(2)]
    assert told[0] == told[1]
    equal, renamed, fewer, epoch, numbers = told[0]
    assert equal is None
    remedy = 'give all machines the same images below data_root, and a work_dir that they share'
    names = [f'{number:012d}.jpg' for number in (3, 4)]
    assert renamed == (f"the processes disagree: the training image 3 is '{names[0]}' on rank 0 and '{names[1]}' on "
                       f"rank 1; the evaluation image 3 is '{names[0]}' on rank 0 and '{names[1]}' on rank 1: {remedy}")
    assert fewer.startswith('the processes disagree: the number of training images is 5 on rank 0 and 4 on rank 1; the '
                            f"training image 4 is '{names[1]}' on rank 0 and 'more/{0:012d}.jpg' on rank 1; ")
    assert 'the number of epochs trained before is 0 on rank 0 and 1 on rank 1' in epoch
    assert numbers == 'the processes disagree: k is 0 on rank 0 and 1 on rank 1: remedy'


def wait_for_nobody(rank, folder, port):
    os.environ.update(launcher_variables('pytorch', rank, port))
    open_process_group(launch_config('pytorch', timeout=5))
    if rank == 1:
        time.sleep(600)
    start = time.monotonic()
    try:
        check_ranks_agree(dict(a=1), 'remedy')
    except RuntimeError as error:
        with open(f'{folder}/part', 'w') as file:
            json.dump([time.monotonic() - start, str(error)], file)
        os.rename(f'{folder}/part', f'{folder}/ended')


@cpu_only
def test_a_rank_that_never_answers_does_not_hang_the_others(tmp_path):
    context = spawn(wait_for_nobody, (str(tmp_path), free_port()), nprocs=2, join=False)
    try:
        context.processes[0].join(timeout=60)
        seconds, message = json.loads((tmp_path / 'ended').read_text())
    finally:
        for process in context.processes:
            process.kill()
            process.join()
    assert 4 < seconds < 20
    assert 'imed out' in message
