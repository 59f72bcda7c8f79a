"""SIGTERM and SIGUSR1: a checkpoint, the documented exit status, and an end at once for the second signal."""
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import nullcontext

import pytest
from mmengine.hooks import Hook

from mmseg_unsup.utils import preemption
from mmseg_unsup.utils.preemption import EXIT_CODE, Preempted, listening, stop_if_asked
from mmseg_unsup.registry import HOOKS
from ..conftest import ROOT, write_images
from .resuming import differences, final, resumable_config, terminate, train
from .test_killed_runs import finish, in_child

pytestmark = pytest.mark.filterwarnings('ignore')


@pytest.mark.parametrize('signum', [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_is_acted_on_at_the_next_safe_point(signum):
    with listening():
        stop_if_asked()
        os.kill(os.getpid(), signum)
        with pytest.raises(Preempted):
            stop_if_asked()
    stop_if_asked()


def test_nobody_listens_by_default():
    assert preemption._listener is None and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    stop_if_asked()


class Mishap(Exception):
    """Of a training."""


def mishap() -> None:
    assert signal.getsignal(signal.SIGTERM) == preemption._listener is not None
    raise Mishap


@pytest.mark.parametrize('at, action, end', [(None, None, None), (3, terminate, None), (3, mishap, Mishap)])
def test_signals_are_given_back_however_a_run_ends(image_folder, tmp_path, at, action, end):
    with pytest.raises(end) if end else nullcontext():
        train(resumable_config('picie', image_folder, tmp_path), at, action)
    assert preemption._listener is None
    assert all(signal.getsignal(signum) == signal.SIG_DFL for signum in preemption.SIGNALS)


def test_a_second_signal_ends_the_process_at_once():

    def run():
        with listening():
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)

    start = time.monotonic()
    assert finish(in_child(run)) == 128 + signal.SIGTERM and time.monotonic() - start < 30


@HOOKS.register_module()
class SignalWhileSaving(Hook):
    """The signal comes while the first checkpoint is being made."""

    sent = False

    def before_save_checkpoint(self, runner, checkpoint):
        if checkpoint['meta']['epoch'] == 1 and not self.sent:
            self.sent = True
            os.kill(os.getpid(), signal.SIGUSR1)


def test_stopped_while_saving(tmp_path):
    """The checkpoint is finished; the run stops before another batch is read."""
    root = write_images(tmp_path / 'images', 8)
    phases = train(resumable_config('picie', root, tmp_path / 'whole'))
    until = phases.index(('val', 1, False))
    stopped = train(resumable_config('picie', root, tmp_path / 'run',
                                     default_hooks__signal=dict(type='mmseg_unsup.SignalWhileSaving')))
    assert stopped == phases[:until]
    assert (tmp_path / 'run' / 'epoch_1.pth').exists()
    train(resumable_config('picie', root, tmp_path / 'run', resume=True))
    assert differences(final(tmp_path / 'whole'), final(tmp_path / 'run')) == []


def test_a_loop_of_mmengine_stops_after_the_step(image_folder, tmp_path):
    options = dict(train_cfg=dict(_delete_=True, type='IterBasedTrainLoop', max_iters=6, val_interval=6),
                   val_cfg=None, val_dataloader=None, val_evaluator=None, default_hooks__checkpoint__by_epoch=False,
                   train_dataloader__sampler=dict(_delete_=True, type='InfiniteSampler'))
    cfg = resumable_config('iic', image_folder, tmp_path, **options)
    cfg.param_scheduler = None
    for name in ('view_epoch', 'fresh_kmeans', 'train_progress', 'pca_init'):
        cfg.default_hooks.pop(name, None)
    seen = train(cfg, 4, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert len(seen) == 5 and (tmp_path / 'preempted.pth').exists()


@pytest.mark.long
def test_the_tool_with_data_workers_and_a_signal_for_all(tmp_path):
    """Schedulers signal the whole group: workers outlive the step, the tool exits with 75, --resume goes on."""
    root = write_images(tmp_path / 'images', 8)
    cfg = resumable_config('picie', root, tmp_path / 'run', train_dataloader__num_workers=2,
                           train_dataloader__persistent_workers=True, default_hooks__logger__interval=1)
    cfg.pop('shortcuts')
    cfg.default_hooks.pop('noise')
    cfg.train_cfg.max_epochs = 500
    cfg.dump(str(tmp_path / 'config.py'))
    command = [sys.executable, f'{ROOT}/tools/train.py', str(tmp_path / 'config.py'), '--work-dir',
               str(tmp_path / 'run'), '--resume', '--verbose']
    env = dict(os.environ, PYTHONPATH=ROOT, OMP_NUM_THREADS='1')
    with open(tmp_path / 'log', 'w') as log:
        running = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
    read = (tmp_path / 'log').read_text
    deadline = time.monotonic() + 200
    while 'Saving checkpoint at 2 epochs' not in read() and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGTERM)
    status = running.wait(100)
    trace = read().partition('Traceback')[2] or read()
    assert status == EXIT_CODE, trace[:3000]
    assert 'SIGTERM: stopping' in read() and 'run/preempted.pth; to go on:' in read()
    epoch = max(int(number) for number in re.findall(r'Saving checkpoint at (\d+) epochs', read()))
    done = subprocess.run([*command, '--cfg-options', f'train_cfg.max_epochs={epoch + 1}'], env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout[-3000:]
    assert (tmp_path / 'run' / f'epoch_{epoch + 1}.pth').exists()


SRUN = '''#!/bin/sh
echo "$@" >> {log}
[ $(wc -l < {log}) -ge {runs} ] && exit {status}
exit 75
'''


def run_slurm_script(tmp_path, runs: int, status: int = 0, **env):
    """``tools/slurm_train.sh`` with an ``srun`` that is preempted until its last run; calls and exit status."""
    for name in ('srun', 'scontrol'):
        log = tmp_path / f'{name}.log'
        log.touch()
        script = tmp_path / name
        script.write_text(SRUN.format(log=log, runs=runs if name == 'srun' else 0, status=status))
        script.chmod(0o755)
    (tmp_path / 'config.py').touch()
    done = subprocess.run([f'{ROOT}/tools/slurm_train.sh', 'part', 'job', 'config.py', '--amp'], capture_output=True,
                          cwd=tmp_path, env={**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}', **env})
    return (tmp_path / 'srun.log').read_text().splitlines(), (tmp_path / 'scontrol.log').read_text(), done.returncode


@pytest.mark.parametrize('status', [0, 3])
def test_slurm_runs_are_submitted_again(tmp_path, status):
    calls, requeued, returned = run_slurm_script(tmp_path, 3, status, SRUN_ARGS='-t 60')
    assert returned == status and requeued == ''
    assert calls[0].endswith('config.py --launcher slurm --amp')
    assert all('--signal=USR1@120 -t 60 ' in call for call in calls)
    assert [call.endswith('--amp --resume') for call in calls] == [False, True, True]


def test_batch_jobs_are_requeued(tmp_path):
    calls, requeued, returned = run_slurm_script(tmp_path, 3, SLURM_JOB_ID='42')
    assert len(calls) == 1 and requeued == 'requeue 42\n' and returned == 0
    (tmp_path / 'srun.log').unlink()
    calls, _, _ = run_slurm_script(tmp_path, 1, SLURM_JOB_ID='42', SLURM_RESTART_COUNT='1')
    assert calls[0].endswith('--amp --resume')
