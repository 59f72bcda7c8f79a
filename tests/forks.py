"""Processes that start with everything imported: forks of one that does nothing else. Each start of Python and its
imports costs four seconds, which only tests of a start need."""
import atexit
import functools
import multiprocessing
import os
import os.path as osp
import runpy
import subprocess
import sys
import tempfile
import time
from multiprocessing import forkserver

_PATIENCE = 300  # seconds
ROOT = osp.dirname(osp.dirname(osp.abspath(__file__)))


@functools.lru_cache
def start_server():
    """Start the process that is forked; the context of :mod:`multiprocessing` whose processes are its forks."""
    multiprocessing.set_forkserver_preload(['tests.imported'])
    before = os.getcwd()
    os.chdir(ROOT)  # where it finds what it imports
    forkserver.ensure_running()
    os.chdir(before)
    return multiprocessing.get_context('forkserver')


def stop_server() -> None:
    """End it before the tests end, which then have its processor time in theirs."""
    forkserver._forkserver._stop()


def spawn(worker, args=(), nprocs: int = 1, join: bool = True):
    """``torch.multiprocessing.spawn`` by forks; processes that wait for each other for ever are ended."""
    from torch.multiprocessing import start_processes
    start_server()
    context = start_processes(worker, args, nprocs, join=False, start_method='forkserver')
    end = time.monotonic() + _PATIENCE
    while join and not context.join(timeout=1):
        if time.monotonic() > end:
            for process in context.processes:
                process.kill()
            raise TimeoutError(f'{worker.__name__} on {nprocs} processes took more than {_PATIENCE} s')
    return context


def run_script(path: str, args, *, cwd=None, env, restrict=None, apart: bool = False) -> subprocess.CompletedProcess:
    """Run a Python file as the main script of a process.

    Args:
        restrict: a function that is called in it before the script.
        apart: what it prints as errors is in ``stderr``, not in ``stdout``.
    """
    with tempfile.NamedTemporaryFile() as output, tempfile.NamedTemporaryFile() as errors:
        names = output.name, errors.name if apart else output.name
        process = start_server().Process(target=_run, args=(path, args, str(cwd or os.getcwd()), env, names, restrict))
        process.start()
        try:
            process.join()
        finally:  # of a test that took too long
            process.kill()
        stdout, stderr = (file.read().decode() for file in (output, errors))
    return subprocess.CompletedProcess([path, *args], process.exitcode, stdout, stderr)


def _run(path: str, args, cwd: str, env, outputs, restrict) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for descriptor, name in enumerate(outputs, 1):
        os.dup2(os.open(name, os.O_WRONLY | os.O_APPEND), descriptor)
    sys.argv[:], sys.path[0] = [path, *args], osp.dirname(path)
    if restrict:
        restrict()
    try:
        runpy.run_path(path, run_name='__main__')
    finally:  # as a Python of its own does
        atexit._run_exitfuncs()
