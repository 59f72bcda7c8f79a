"""The work of ``mmseg-unsup gpu-report``: checks of a machine, each in a process of its own."""
import json
import os
import os.path as osp
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, replace
from itertools import chain
from threading import Event
from typing import Dict, List, Optional, Sequence

import torch
from mmengine.fileio import load

from ..engine.hooks.report_hook import software
from ..presets import usable_cores
from ..utils import register_all_modules
from ..utils.atomic import write_json
from ..utils.console import say
from ..utils.cpu import cpu_name
from ..utils.near_names import did_you_mean, similar
from ..visualization.gpu_page import render_gpu_report
from ..visualization.html import write_page
from .gpu_checks import CORRECTNESS, Check, Skipped
from .gpu_runs import Scale, draw_data
from .gpu_speed import SPEED

CHECKS: Dict[str, Check] = {**CORRECTNESS, **SPEED}
# seconds: less is no time for a check; how long its process may take to end; how often it is looked at
_SHORTEST, _GRACE, _POLL = 10, 5, 0.1
_LOG_CHARS = 20_000
# also where a kernel never ends, the stacks of a process that takes too long go to its log
_START = ('import faulthandler, json, sys; faulthandler.dump_traceback_later(float(sys.argv[1]), exit=True); '
          'from mmseg_unsup.analysis.gpu_report import work; work(**json.loads(sys.argv[2]))')
_ROOT = osp.dirname(osp.dirname(osp.dirname(osp.abspath(__file__))))


def choose(names: Optional[Sequence[str]]) -> List[str]:
    """Names of checks, in the order in which they run; all for None.

    A name also stands for those that it begins, as ``train`` for ``train-picie``.

    Raises:
        ValueError: there is no such check.
    """
    for name in names or ():
        if not any(_stands_for(name, check) for check in CHECKS):
            raise ValueError(f'--only {name}: there is no such check: '
                             + did_you_mean(similar(name, CHECKS), f'there are {", ".join(CHECKS)}'))
    return [check for check in CHECKS if not names or any(_stands_for(name, check) for name in names)]


def _stands_for(name: str, check: str) -> bool:
    return check == name or check.startswith(f'{name}-')


def run_report(out: str, device: str, quick: bool, names: Sequence[str], minutes: float, jobs: int) -> dict:
    """Run checks; after each of them write ``gpu_report.json`` and ``gpu_report.html``. Returns what the former holds.

    Args:
        names: of :data:`CHECKS`. Those that measure speeds run after the others, one at a time.
        minutes: of the whole report; a check that has no time left is skipped.
        jobs: of the other checks, how many run at a time.
    """
    os.makedirs(out, exist_ok=True)
    end, stop = time.monotonic() + 60 * minutes, Event()
    report = dict(machine=machine(device), quick=quick, checks={})
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        scale = Scale(device, quick, folder, folder, usable_cores())
        draw_data(scale)
        beside = [name for name in names if not CHECKS[name].alone]
        alone = [name for name in names if CHECKS[name].alone]

        def run(name: str) -> dict:
            return run_apart(name, scale, end, stop)

        try:  # the first ones are all given to the pool at once; each of the others runs when it is asked for
            for name, found in chain(zip(beside, pool.map(run, beside)), zip(alone, map(run, alone))):
                report['checks'][name] = found
                write_report(report, out)
                say(_line(name, found))
        finally:
            stop.set()  # those that run, if this process was interrupted
    return report


def _line(name: str, found: dict) -> str:
    return f'{found["status"]:8}{name:30}{found["seconds"]:7.1f} s  {found["reason"]}'.rstrip()


def write_report(report: dict, out: str) -> None:
    """Write both files into the folder."""
    write_json(osp.join(out, 'gpu_report.json'), report)
    write_page(osp.join(out, 'gpu_report.html'), render_gpu_report(report), flush=False)


def run_apart(name: str, scale: Scale, end: float, stop: Event) -> dict:
    """Run a check in a process of its own, which ends with all that it has started.

    Args:
        end: of the whole report, by :func:`time.monotonic`.
        stop: set by whoever does not wait for it any more.

    Returns:
        ``question``, ``status`` (ok, failed or skipped), ``reason``, ``seconds`` and ``numbers``; of one that failed
        also ``traceback``.
    """
    check, start = CHECKS[name], time.monotonic()
    found = dict(question=check.question, status='skipped', reason='no time was left', seconds=0., numbers={})
    seconds = min(check.seconds, end - start)
    if seconds < _SHORTEST or stop.is_set():
        return found
    own = osp.join(scale.folder, name)
    os.mkdir(own)
    paths = dict(record=osp.join(own, 'record.json'), log=osp.join(own, 'log.txt'))
    arguments = dict(name=name, scale=asdict(replace(scale, folder=own)), path=paths['record'])
    is_in_time = _wait_for(arguments, paths['log'], start + seconds, stop)
    reason = 'its process ended' if is_in_time else f'it took more than {seconds:.0f} s'
    found.update(_ending(paths, reason), seconds=time.monotonic() - start)
    shutil.rmtree(own, ignore_errors=True)
    return found


def _wait_for(arguments: dict, log: str, end: float, stop: Event) -> bool:
    """Whether the process ended in time."""
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([_ROOT, *filter(None, [os.environ.get('PYTHONPATH')])]))
    env.setdefault('OMP_NUM_THREADS', '1')
    if arguments['scale']['device'] == 'cpu':
        env['CUDA_VISIBLE_DEVICES'] = ''
    command = [sys.executable, '-c', _START, str(end - time.monotonic()), json.dumps(arguments)]
    with open(log, 'w') as file:
        process = subprocess.Popen(command, env=env, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            while process.poll() is None and time.monotonic() < end + _GRACE and not stop.wait(_POLL):
                pass
            return time.monotonic() < end
        finally:  # its data workers too
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _ending(paths: Dict[str, str], reason: str) -> dict:
    """What a process has left behind; of one that has not come to its end, for this reason, the end of its log."""
    record = load(paths['record']) if osp.isfile(paths['record']) else {}
    if 'status' in record:
        return record
    with open(paths['log'], errors='replace') as file:
        return dict(record, status='failed', reason=reason, traceback=file.read()[-_LOG_CHARS:])


def work(name: str, scale: dict, path: str) -> None:
    """Run a check in this process; what it finds is in a JSON file, which is there from the first number on.

    Args:
        scale: fields of a :class:`Scale`.
    """
    record: dict = dict(numbers={})

    def note(**numbers) -> None:
        record['numbers'].update(json.loads(json.dumps(numbers, default=float)))  # also those of NumPy and torch
        write_json(path, record)

    register_all_modules()
    try:
        CHECKS[name].function(Scale(**scale), note)
        record.update(status='ok', reason='')
    except Skipped as reason:
        record.update(status='skipped', reason=str(reason))
    except (Exception, SystemExit) as error:
        record.update(status='failed', reason=f'{type(error).__name__}: {error}', traceback=traceback.format_exc())
    write_json(path, record)


def machine(device: str) -> Dict[str, str]:
    """What computes, name -> text."""
    facts = {'GPU': 'none', **(_gpu() if device == 'cuda' else {}), 'CPU': cpu_name(), 'cores': str(usable_cores())}
    if osp.isdir('/dev/shm'):  # batches of data workers go through it
        facts['shared memory'] = f'{shutil.disk_usage("/dev/shm").total / 2**30:.1f} GiB'
    return {**facts, **software()}


def _gpu() -> Dict[str, str]:
    properties = torch.cuda.get_device_properties(0)
    return {'GPU': properties.name, 'GPU memory': f'{properties.total_memory / 2**30:.0f} GiB',
            'GPUs': str(torch.cuda.device_count()), 'driver': _driver(), 'CUDA': torch.version.cuda,
            'cuDNN': str(torch.backends.cudnn.version())}


def _driver() -> str:
    query = ['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader']
    try:
        return subprocess.run(query, capture_output=True, text=True, timeout=20).stdout.split()[0]
    except (OSError, subprocess.TimeoutExpired, IndexError):
        return 'unknown'
