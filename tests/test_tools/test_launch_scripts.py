"""Launches that are wrong are refused in one sentence before anything starts."""
import importlib.util
import logging
import os
import os.path as osp
import re
import signal
import socket
import subprocess
import sys

import pytest
from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from ..conftest import ROOT
from .test_train_and_test import config

CONFIG = config('picie_fpn_camvid')
TWO = dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='127.0.0.1')
WRONG_MACHINES = [
    (dict(NNODES='abc'), "NNODES must be a whole number from 1 on, but it is 'abc'"),
    (dict(NNODES='0'), "NNODES must be a whole number from 1 on, but it is '0'"),
    (dict(NNODES='1:2'), "NNODES must be a whole number from 1 on, but it is '1:2'"),
    (dict(TWO, NODE_RANK='2'), "NODE_RANK, .* NNODES=2, must be a whole number from 0 to 1, but it is '2'"),
    (dict(TWO, NODE_RANK='-1'), "NODE_RANK, .* NNODES=2, must be a whole number from 0 to 1, but it is '-1'"),
    (dict(NODE_RANK='1'), "NODE_RANK, .* NNODES=1, must be a whole number from 0 to 0, but it is '1'"),
    (dict(TWO, NODE_RANK=''), 'NNODES=2 needs NODE_RANK, the number of this machine from 0'),
    (dict(TWO, MASTER_ADDR=''), 'NNODES=2 needs MASTER_ADDR, the address of machine 0'),
    (dict(PORT='http'), "PORT must be a whole number from 1 to 65535, but it is 'http'"),
    (dict(PORT='65536'), "PORT must be a whole number from 1 to 65535, but it is '65536'"),
    (dict(PORT='029500'), "PORT must be a whole number from 1 to 65535, but it is '029500'"),
]


def refusal(script, *args, **env):
    """What a script says that ends with status 2."""
    done = subprocess.run([f'{ROOT}/tools/{script}', *map(str, args)], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, env=dict(os.environ, **env))
    assert done.returncode == 2 and len(done.stdout.splitlines()) == 1, done.stdout
    assert done.stdout.startswith(f'{script}: ')
    return done.stdout[len(script) + 2:-1]


@pytest.mark.parametrize('script, args', [('dist_train.sh', [CONFIG, 1]), ('dist_test.sh', [CONFIG, 'none', 1])])
def test_machines_that_would_wait_for_ever(script, args):
    for env, message in WRONG_MACHINES:
        assert re.fullmatch(message, refusal(script, *args, **env))


@pytest.mark.parametrize('n_gpus', ['0', '-1', '2.5', 'two', '', '08', '9999999999'])
def test_numbers_of_gpus(n_gpus):
    message = f"GPUS must be a whole number from 1 on, but it is '{n_gpus}'"
    assert refusal('dist_train.sh', CONFIG, n_gpus) == refusal('dist_test.sh', CONFIG, 'none', n_gpus) == message


def test_a_port_in_use():
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        server.listen()
        port = server.getsockname()[1]
        message = f'PORT={port} is taken, perhaps by another run on this machine: set PORT to a free one'
        assert refusal('dist_train.sh', CONFIG, 2, PORT=str(port)) == message


@pytest.mark.parametrize('script, before, after', [('dist_train.sh', [], ['1']), ('dist_test.sh', [], ['none', '1']),
                                                   ('slurm_train.sh', ['part', 'job'], []),
                                                   ('slurm_test.sh', ['part', 'job'], ['none'])])
def test_files_that_are_not_there(script, before, after, tmp_path):
    for path in (f'{tmp_path}/config.py', tmp_path):
        assert refusal(script, *before, path, *after) == f"the config '{path}' is no file"
    usage = f'usage: {ROOT}/tools/{script} .*CONFIG .*'
    assert re.fullmatch(usage, refusal(script)) and re.fullmatch(usage, refusal(script, *before))
    if 'none' in after:
        after[0] = f'{tmp_path}/model.pth'
        assert refusal(script, *before, CONFIG, *after) == f"the checkpoint '{after[0]}' is no file"


@pytest.mark.parametrize('script, args', [('slurm_train.sh', []), ('slurm_test.sh', ['none'])])
def test_slurm(script, args, tmp_path):
    args = ['part', 'job', CONFIG, *args]
    for name in ('GPUS', 'GPUS_PER_NODE', 'CPUS_PER_TASK'):
        for value in ('0', 'all'):
            message = f"{name} must be a whole number from 1 on, but it is '{value}'"
            assert refusal(script, *args, **{name: value}) == message
    for command in ('bash', 'env', 'dirname', 'basename'):
        (tmp_path / command).symlink_to(osp.join('/usr/bin', command))
    assert refusal(script, *args, PATH=str(tmp_path)).startswith('there is no srun on PATH')
    assert refusal('dist_train.sh', CONFIG, 1, PATH=str(tmp_path)).startswith('there is no python on PATH')


def test_grace_of_slurm(tmp_path):
    (tmp_path / 'srun').symlink_to('/bin/false')
    said = refusal('slurm_train.sh', 'part', 'job', CONFIG, GRACE='2m', PATH=f'{tmp_path}:{os.environ["PATH"]}')
    assert said == "GRACE must be a whole number from 0 to 65535, but it is '2m'"


@pytest.fixture
def launcher(monkeypatch):
    spec = importlib.util.spec_from_file_location('_torchrun', osp.join(ROOT, 'tools', '_torchrun.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(error=None, address='127.0.0.1'):
        def fail():
            if error:
                raise error

        monkeypatch.setattr(torchrun, 'main', fail)
        monkeypatch.setattr('sys.argv', ['_torchrun.py', f'--master_addr={address}', 'tool'])
        module.main()

    return run


def failure(status):
    """What torchrun raises when process 1 fails and it then ends process 0."""
    later, first = ProcessFailure(0, 1000, -signal.SIGTERM, ''), ProcessFailure(1, 1001, status, '')
    first.timestamp = later.timestamp - 5
    return ChildFailedError('tool', {0: later, 1: first})


@pytest.mark.parametrize('error, status, message', [
    (failure(75), 75, 'process 1 was the first to fail (status 75)'),
    (failure(-signal.SIGKILL), 128 + signal.SIGKILL, 'process 1 was the first to fail (SIGKILL ended it)'),
    (SignalException('', signal.SIGTERM), 128 + signal.SIGTERM, 'ended by SIGTERM, and its processes with it'),
])
def test_the_status_is_that_of_the_process(launcher, capsys, error, status, message):
    launcher()
    logging.disable(logging.NOTSET)
    with pytest.raises(SystemExit) as ended:
        launcher(error)
    logging.disable(logging.NOTSET)
    printed = capsys.readouterr().err
    assert ended.value.code == status and message in printed and printed.count('\n') == 1


def test_a_mistake_is_one_sentence(tmp_path):
    """Of all processes, with the status of the first one, and nothing of torchrun."""
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        port = server.getsockname()[1]
    done = subprocess.run([f'{ROOT}/tools/dist_train.sh', CONFIG, '2', '--work-dir', f'{tmp_path}/run', '--cfg-options',
                           'model.type=mmseg_unsup.PiCEI'], text=True, capture_output=True, timeout=300, cwd=tmp_path,
                          env=dict(os.environ, PORT=str(port), OMP_NUM_THREADS='1',
                                   PATH=f'{osp.dirname(sys.executable)}:{os.environ["PATH"]}'))
    assert done.returncode == 2 and done.stdout == '', done.stderr
    first, *others = sorted(done.stderr.splitlines())
    assert first.startswith("error: model.type='mmseg_unsup.PiCEI' is no type that is registered: did you mean ")
    assert others in ([], [first.replace('error: ', 'error: rank 1: ')])  # of a process that ended later


def test_the_sentence_of_a_user_stands_alone(launcher, capsys):
    with pytest.raises(SystemExit) as ended:
        launcher(failure(2))
    logging.disable(logging.NOTSET)
    assert ended.value.code == 2 and capsys.readouterr().err == ''


def test_an_address_that_nobody_knows(launcher, capsys):
    with pytest.raises(SystemExit) as ended:
        launcher(address='no-such-host.invalid')
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith('MASTER_ADDR=no-such-host.invalid, the address of machine 0, is not ')
