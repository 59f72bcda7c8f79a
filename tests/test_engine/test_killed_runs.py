"""kill -9 at any moment: a checkpoint is whole, and the continued run ends with the same bits."""
import multiprocessing
import os
import random
import signal
import time

import pytest
import torch
from mmengine.fileio import LocalBackend
from mmengine.runner import Runner

from mmseg_unsup.engine.checkpoint_files import find_checkpoint, name_pattern
from mmseg_unsup.utils import atomic
from ..conftest import write_images
from .resuming import differences, resumable_config, train

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings('ignore')]

FORK = multiprocessing.get_context('fork')  # a child that has everything imported
INTERVAL, LAST_STEP = 2, 8  # two epochs of four steps
N_RANDOM = 18
# what a process does at its n-th call of a function that writes: (module, name, calls before it dies, half a file)
WRITES = [(LocalBackend, 'put', calls, True) for calls in (0, 1, 3)] + [
    (atomic, '_flush', calls, False) for calls in (0, 3, 5, 9)] + [(os, 'replace', calls, False) for calls in
                                                                (0, 1, 6, 7)] + [(os, 'remove', 0, False)]


def config(root, folder, **options):
    """A checkpoint after every other step."""
    checkpoint = dict(default_hooks__checkpoint__by_epoch=False, default_hooks__checkpoint__interval=INTERVAL,
                      default_hooks__checkpoint__max_keep_ckpts=2)
    return resumable_config('picie', root, folder, **checkpoint, **options)


def final(folder) -> dict:
    return torch.load(folder / f'iter_{LAST_STEP}.pth', weights_only=True)


def in_child(function, *args):
    """A forked process that trains, silently."""

    def run():
        with open(os.devnull, 'w') as null:
            os.dup2(null.fileno(), 1)
            os.dup2(null.fileno(), 2)
        function(*args)

    child = FORK.Process(target=run)
    child.start()
    return child


def finish(child, timeout: float = 120) -> int:
    child.join(timeout)
    assert child.exitcode is not None
    return child.exitcode


def train_in_child(root, folder, **options) -> int:
    return finish(in_child(lambda: train(config(root, folder, **options))))


def die_at(owner, name: str, calls: int, is_half: bool) -> None:
    """Replace a function by one that kills the process."""
    original, left = getattr(owner, name), [calls]

    def deadly(*args):
        left[0] -= 1
        if left[0] >= 0:
            return original(*args)
        if is_half:
            original(args[0], args[1][:len(args[1]) // 2], *args[2:])
        return os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, deadly)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """Images, the last checkpoint of an undisturbed run, and its seconds."""
    folder = tmp_path_factory.mktemp('whole')
    root = write_images(folder / 'images', 8)
    Runner.from_cfg(config(root, folder / 'imports'))  # of what the children need
    start = time.monotonic()
    assert train_in_child(root, folder / 'run') == 0
    return root, final(folder / 'run'), time.monotonic() - start


def assert_survives(root, folder, expected):
    """At most the checkpoint that was being written is missing; what is there loads; the run ends as it should."""
    names = name_pattern('iter_{}.pth')
    written = [path for path in folder.iterdir() if names.fullmatch(path.name)] if folder.exists() else []
    found = find_checkpoint(str(folder), names, str(folder))
    assert (found.path is not None) == bool(written) and found.skipped == []
    assert train_in_child(root, folder, resume=True) == 0
    assert differences(expected, final(folder)) == []
    assert sorted(path.name for path in folder.glob('*.pth')) == [f'iter_{LAST_STEP - INTERVAL}.pth',
                                                                  f'iter_{LAST_STEP}.pth']
    assert not list(folder.glob('*.part'))


@pytest.mark.parametrize('number', range(N_RANDOM))
def test_killed_at_a_random_moment(whole, tmp_path, number):
    root, expected, seconds = whole
    child = in_child(lambda: train(config(root, tmp_path / 'run')))
    time.sleep(random.Random(number).uniform(0.3, 1) * seconds)
    os.kill(child.pid, signal.SIGKILL)
    finish(child)
    assert_survives(root, tmp_path / 'run', expected)


@pytest.mark.parametrize('owner, name, calls, is_half', WRITES)
def test_killed_while_writing(whole, tmp_path, owner, name, calls, is_half):

    def run():
        die_at(owner, name, calls, is_half)
        train(config(whole[0], tmp_path / 'run'))

    assert finish(in_child(run)) == -signal.SIGKILL
    assert_survives(whole[0], tmp_path / 'run', whole[1])
