"""Several processes on a machine without a GPU, through the shell script that users run."""
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch

from ..conftest import ROOT, run_log, run_tool
from .test_train_and_test import SMALL, coco_root, config, write_curated_lists  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.skipif(torch.cuda.is_available(), reason='tests the launch without a GPU')]

CONFIG = config('picie_fpn_cocostuff')


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Launch:
    """A script of ``tools/`` in the background; what it prints goes to a file."""

    def __init__(self, log, script, *args, **env):
        path = os.pathsep.join([os.path.dirname(sys.executable), os.environ['PATH']])
        self.log = log
        with open(log, 'w') as file:
            self.process = subprocess.Popen([f'{ROOT}/tools/{script}', *map(str, args)], stdout=file,
                                            stderr=subprocess.STDOUT,
                                            env=dict(os.environ, PATH=path, OMP_NUM_THREADS='1', **env))

    def output(self) -> str:
        return self.log.read_text()

    def finish(self, timeout: float = 150) -> int:
        """The exit status; fails, and ends all, when there is none in time."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.end()
            pytest.fail(f'still running after {timeout} s:\n{self.output()[-5000:]}')

    def end(self) -> None:
        if self.process.poll() is None:
            for pid in [*self.workers().values(), self.process.pid]:
                os.kill(pid, signal.SIGKILL)
            self.process.wait()

    def workers(self) -> dict:
        """Rank -> process id of the training processes that are alive."""
        found = {}
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open(f'/proc/{pid}/stat') as stat, open(f'/proc/{pid}/environ') as environ:
                    parent = int(stat.read().rpartition(')')[2].split()[1])
                    rank = re.search(r'(?:^|\0)RANK=(\d+)', environ.read())
            except (OSError, UnicodeDecodeError):
                continue
            if parent == self.process.pid and rank:
                found[int(rank[1])] = int(pid)
        return found

    def wait_for(self, text: str, timeout: float = 150) -> None:
        deadline = time.monotonic() + timeout
        while text not in self.output():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.end()
                pytest.fail(f'no {text!r} in the output:\n{self.output()[-5000:]}')
            time.sleep(0.1)


def launch(folder, script, *args, **env):
    folder.mkdir(exist_ok=True)
    running = Launch(folder / 'output', script, *args, **env, PORT=str(free_port()))
    status = running.finish()
    assert status == 0, running.output()[-5000:]
    return running.output()


def run_on_two_nodes(folder, *args, per_node=((), ()), timeout=150):
    """The same training started on two "machines" with a process each: exit statuses and outputs."""
    folder.mkdir()
    port = str(free_port())
    nodes = [
        Launch(folder / f'output{node}', 'dist_train.sh', CONFIG, 1, '--work-dir', folder, *args, *per_node[node],
               NNODES='2', NODE_RANK=str(node), MASTER_ADDR='127.0.0.1', PORT=port) for node in range(2)
    ]
    try:
        return [node.finish(timeout) for node in nodes], [node.output() for node in nodes]
    finally:
        for node in nodes:
            node.end()


def first_clustering(log):
    return re.findall(r'clustering epoch 1 view.*', log)


def scores(log, phase):
    return re.findall(rf'Epoch\({phase}\).*?(aAcc: .*?)  data_time', log)


@pytest.fixture
def options(coco_root):  # noqa: F811
    """Three validation images over two processes: the last round is uneven."""
    write_curated_lists(coco_root)
    return ['--cfg-options', f'data_root={coco_root}', *SMALL, 'n_clusters=5', 'train_cfg.max_epochs=1',
               'train_dataloader.batch_size=3', 'val_dataloader.batch_size=1', 'test_dataloader.batch_size=1']


@pytest.mark.long
def test_two_processes_on_one_machine_or_two_train_and_score_like_one(options, tmp_path):
    printed = launch(tmp_path / 'run', 'dist_train.sh', CONFIG, 2, '--work-dir', tmp_path / 'run', *options)
    assert '2 processes on' in printed and printed.count('epoch 1/1  loss') == 1 and 'INFO' not in printed
    log = run_log(tmp_path / 'run')
    trained = scores(log, 'val')
    assert len(trained) == 2
    statuses, outputs = run_on_two_nodes(tmp_path / 'nodes', *options)
    assert statuses == [0, 0], '\n'.join(output[-5000:] for output in outputs)
    on_nodes = run_log(tmp_path / 'nodes')
    assert scores(on_nodes, 'val') == trained
    run_tool('train.py', CONFIG, '--work-dir', tmp_path / 'alone', *options)
    alone = run_log(tmp_path / 'alone')
    assert len(first_clustering(alone)) == 6  # three heads, two views: loss, empty clusters and sizes of each
    assert first_clustering(alone) == first_clustering(log) == first_clustering(on_nodes)
    checkpoint = tmp_path / 'nodes' / 'epoch_1.pth'
    run_tool('test.py', CONFIG, checkpoint, '--work-dir', tmp_path / 'one', *options)
    launch(tmp_path / 'two', 'dist_test.sh', CONFIG, checkpoint, 2, '--work-dir', tmp_path / 'two', *options)
    single, double = (scores(run_log(tmp_path / name), 'test') for name in ('one', 'two'))
    assert single == double == trained[1:]


def test_processes_of_different_configs_are_refused(options, tmp_path):
    statuses, outputs = run_on_two_nodes(tmp_path / 'run', *options, per_node=(['n_clusters=5'], ['n_clusters=6']))
    assert statuses == [2, 2]
    for output in outputs:
        assert output.count('error: ') == 1 and 'ChildFailedError' not in output and 'Traceback' not in output
        assert re.search('error: (rank 1: )?the processes disagree: n_clusters is 5 on rank 0 and 6 on rank 1; .*: '
                         'start all processes with the same command', output)


@pytest.mark.long
@pytest.mark.parametrize('moment', ['clustering epoch 1 ', 'Saving checkpoint at 1 epochs'])
def test_a_killed_process_ends_the_others(options, tmp_path, moment):
    running = Launch(tmp_path / 'output', 'dist_train.sh', CONFIG, 2, '--work-dir', tmp_path / 'run', '--verbose',
                     *options, 'train_cfg.max_epochs=1000', PORT=str(free_port()))
    running.wait_for(moment)
    workers = running.workers()
    os.kill(workers[1], signal.SIGKILL)
    assert running.finish(timeout=60) == 128 + signal.SIGKILL
    assert 'process 1 was the first to fail (SIGKILL ended it); its output is above' in running.output()
    assert not any(os.path.exists(f'/proc/{pid}') for pid in workers.values())


@pytest.mark.long
def test_an_error_on_one_machine_ends_the_other(options, coco_root, tmp_path):  # noqa: F811
    """The image is read by one rank; the other waits for it in a collective."""
    (coco_root / 'images' / 'train2017' / f'{2:012d}.jpg').write_bytes(b'no image')
    statuses, outputs = run_on_two_nodes(tmp_path / 'run', *options, timeout=60)
    assert all(statuses)
    failed, waited = sorted(outputs, key=lambda output: 'cannot use the image' not in output)
    assert f'{2:012d}.jpg' in failed and 'cannot use the image' not in waited
    assert re.search('Error: .*[Cc]onnection (closed|reset)', waited)
