"""What a person sees of a training and of a test, in a file: few plain lines that end in what came of it."""
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from mmseg_unsup.commands import train as train_command
from mmseg_unsup.utils.preemption import EXIT_CODE
from ..conftest import NO_WORKERS, ROOT, run_log, run_tool, write_images
from .test_train_and_test import SMALL, config

DEMO = [
    *NO_WORKERS, 'train_dataloader.dataset.dataset.indices=16', 'probe_dataloader.dataset.dataset.indices=16',
    'val_dataloader.dataset.indices=8', 'test_dataloader.dataset.indices=8', 'train_cfg.max_epochs=2',
    'default_hooks.clustering.init_pixels=2000', 'default_hooks.fresh_kmeans.init_pixels=2000',
    'model.backbone.base_channels=16', 'model.backbone.stem_channels=16', 'model.neck.in_channels=[16,32,64,128]'
]


def assert_plain(text: str) -> None:
    """A file of few lines, which every terminal and editor shows."""
    assert len(text.splitlines()) <= 40 and max(map(len, text.splitlines())) <= 80, text
    assert text.isascii() and not re.search(r'[\x00-\x09\x0b-\x1f\x7f]', text)
    assert 'mmengine' not in text and 'WARNING' not in text and 'INFO' not in text


@pytest.mark.slow
def test_the_demo_in_a_file(tmp_path):
    options = ['--cfg-options', *DEMO]
    printed = run_tool('train.py', config('picie_fpn_demo'), '--restart', *options, cwd=tmp_path, fresh=True).stdout
    assert_plain(printed)
    *head, before, first, last = printed.partition('\n+')[0].splitlines()
    facts = dict(line.split(None, 1) for line in head)
    assert list(facts) == ['config', 'data', 'folder', 'device', 'start', 'labels', 'clusters', 'output', 'time']
    assert facts['data'] == '16 images at 160 x 160 px, 8 to evaluate' and 'procedural_scenes' in facts['folder']
    assert facts['start'] == 'random weights' and facts['labels'] == 'seen by these weights: none'
    assert facts['output'] == 'work_dirs/picie_fpn_demo'
    assert facts['clusters'] == '6 (with 12 and 24 more in training)'
    assert re.fullmatch(r'about \d+ s for 2 epochs', facts['time'])
    assert re.fullmatch(r'before training  \d+ s  \d+ s left  mIoU [\d.]+', before)
    assert re.match(r'epoch 1/2  loss [\d.]+  \d+ s  \d+ s left', first)
    assert re.match(r'epoch 2/2  loss [\d.]+  \d+ s  mIoU [\d.]+', last)

    log = run_log(tmp_path / 'work_dirs' / 'picie_fpn_demo')
    scores = re.findall(r'Epoch\(val\) \[\d\].*?mIoU: ([\d.]+)', log)
    assert re.search(rf'\| mIoU +\| +{float(scores[0]):.2f} \| +{float(scores[1]):.2f} \|', printed)
    names, paths = zip(*(line.split() for line in printed.partition('to open:\n')[2].splitlines()))
    assert sorted(names) == ['checkpoint', 'log', 'pictures', 'report']
    assert all((tmp_path / path).is_file() for path in paths)
    assert all(line in log for line in (before, first, last)) and 'System environment' in log

    tested = run_tool('test.py', config('picie_fpn_demo'), 'work_dirs/picie_fpn_demo/epoch_2.pth', *options,
                      cwd=tmp_path).stdout
    assert_plain(tested)
    lines = tested.splitlines()
    assert 'weights   work_dirs/picie_fpn_demo/epoch_2.pth' in lines
    assert re.match(r'\| +class +\| +IoU', next(line for line in lines if 'IoU' in line))
    assert re.search(rf'\| fresh +\| +[\d.]+ \| +{float(scores[1]):.2f} \|', tested)
    assert lines[-2].startswith('8 images evaluated in ') and (tmp_path / lines[-1].split()[-1]).is_file()

    refused = run_tool('train.py', config('picie_fpn_demo'), *options, cwd=tmp_path, check=False)
    assert refused.returncode == 2 and len(refused.stdout.splitlines()) == 1
    assert refused.stdout.startswith('error: work_dirs/picie_fpn_demo holds the checkpoints of another run')


@pytest.mark.slow
def test_a_run_that_is_stopped_tells_how_it_goes_on(tmp_path):
    root = write_images(tmp_path / 'images', 6)
    command = [sys.executable, '-m', 'mmseg_unsup', 'train', config('picie_fpn_folder'), '--restart', '--cfg-options',
               f'data_root={root}', f'out={tmp_path}/maps', 'n_clusters=3', *SMALL, 'val_dataloader.batch_size=1',
               'test_dataloader.batch_size=1', 'train_cfg.max_epochs=500', 'train_cfg.val_interval=500']
    env = dict(os.environ, PYTHONPATH=ROOT, OMP_NUM_THREADS='1')
    with open(tmp_path / 'printed', 'w') as file:
        running = subprocess.Popen(command, env=env, stdout=file, stderr=file, cwd=tmp_path)
    deadline = time.monotonic() + 200
    while 'epoch 1/500' not in (tmp_path / 'printed').read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    running.send_signal(signal.SIGTERM)
    assert running.wait(100) == EXIT_CODE
    *_, stopping, stopped, goes_on = (tmp_path / 'printed').read_text().splitlines()
    assert stopping.startswith('SIGTERM: stopping') and goes_on.endswith(' --resume') and '--restart' not in goes_on
    assert stopped == 'stopped; all that was done is in work_dirs/picie_fpn_folder/preempted.pth; to go on:'
    words = goes_on.strip().replace('max_epochs=500', 'max_epochs=1')  # it is done
    done = subprocess.run(f'PATH={os.path.dirname(sys.executable)}:$PATH; {words}', shell=True, env=env, cwd=tmp_path,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    assert re.search(r'start +work_dirs/picie_fpn_folder/preempted.pth after \d+ of 1 epochs\n', done.stdout)


@pytest.mark.parametrize('given, expected', [
    (['python', '-m', 'mmseg_unsup', 'train', 'x.py', '--restart'], 'python -m mmseg_unsup train x.py --resume'),
    (['/v/bin/python3', '/v/bin/mmseg-unsup', 'train', 'x.py', '--cfg-options', 'a b=1'],
     "mmseg-unsup train x.py --cfg-options 'a b=1' --resume"),
    (['python', 'tools/train.py', 'x.py', '--resume', 'PATH', '--amp'], 'python tools/train.py x.py --amp --resume'),
    (['python', 'tools/train.py', 'x.py', '--resume=PATH'], 'python tools/train.py x.py --resume'),
    (['python', '-u', 'tools/train.py', 'x.py', '--launcher', 'pytorch'], 'the same command with --resume')
])
def test_the_command_that_goes_on(given, expected, monkeypatch):
    class Args:
        launcher = 'pytorch' if 'pytorch' in given else 'none'
        resume = 'PATH' if 'PATH' in ' '.join(given) else None

    monkeypatch.setattr(sys, 'orig_argv', given)
    assert train_command._resume_command(Args) == expected
