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
from multiprocessing import forkserver

ROOT = osp.dirname(osp.dirname(osp.abspath(__file__)))


@functools.lru_cache()
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
    """``torch.multiprocessing.spawn`` by forks."""
    from torch.multiprocessing import start_processes
    start_server()
    return start_processes(worker, args, nprocs, join, start_method='forkserver')


def run_script(path: str, args, *, cwd=None, env) -> subprocess.CompletedProcess:
    """Run a Python file as the main script of a process; what it prints and its errors are in ``stdout``."""
    with tempfile.NamedTemporaryFile() as output:
        process = start_server().Process(target=_run, args=(path, args, str(cwd or os.getcwd()), env, output.name))
        process.start()
        process.join()
        return subprocess.CompletedProcess([path, *args], process.exitcode, stdout=output.read().decode())


def _run(path: str, args, cwd: str, env, output: str) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    log = os.open(output, os.O_WRONLY)
    os.dup2(log, 1), os.dup2(log, 2)
    sys.argv[:], sys.path[0] = [path, *args], osp.dirname(path)
    try:
        runpy.run_path(path, run_name='__main__')
    finally:  # as a Python of its own does
        atexit._run_exitfuncs()
