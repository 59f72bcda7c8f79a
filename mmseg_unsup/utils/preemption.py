"""Stopping by a signal: where a run may stop, and how all ranks agree on it.

A scheduler that takes a machine away sends SIGTERM or, some time before, SIGUSR1. A handler can only take note; the
run asks at *safe points* (after a step, a batch of validation, a chunk of clustering) whether any rank was told.
"""
import functools
import os
import signal
from contextlib import contextmanager
from typing import Iterator, Optional

import torch
from mmengine.dist import all_reduce, get_comm_device, get_world_size
from torch.utils.data import DataLoader

from .console import say
from .devices import Readback, is_asynchronous, to_device

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
# EX_TEMPFAIL of sysexits.h, "try again": the run wrote a checkpoint and can be continued by --resume
EXIT_CODE = 75


class Preempted(BaseException):
    """All ranks agreed to stop here; no ``Exception``, so that nothing on the way takes it for an error."""


class _Listener:
    """The signals that this process got."""

    def __init__(self) -> None:
        self.received = 0
        self.answer: Optional[Readback] = None  # of the last safe point
        self.pid = os.getpid()
        self.ending = torch.zeros(1, dtype=torch.bool).share_memory_()

    def __call__(self, signum, frame) -> None:
        if os.getpid() != self.pid:
            self._in_worker(signum)
        elif self.received:
            os._exit(128 + signum)  # neither the step nor a checkpoint is finished; the old checkpoint is whole
        else:
            self.received = signum

    def _in_worker(self, signum) -> None:
        """Schedulers signal data workers too, which must outlive the step; their parent ends them by SIGTERM."""
        if os.getppid() != self.pid or self.ending[0]:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)


_listener = None


@contextmanager
def listening() -> Iterator[None]:
    """Take over the signals inside the block, or the decorated function. Main thread only."""
    global _listener
    former, _listener = _listener, _Listener()
    ending = _listener.ending
    handlers = {signum: signal.signal(signum, _listener) for signum in SIGNALS}
    try:
        yield
    finally:
        ending.fill_(True)  # data workers that are stuck are ended by SIGTERM
        _listener = former
        for signum, handler in handlers.items():
            signal.signal(signum, handler)


def protect_workers(loader: DataLoader) -> None:
    """Let workers that the loader forks from now on outlive a signal to the whole job."""
    loader.worker_init_fn = functools.partial(_init_worker, loader.worker_init_fn)


def _init_worker(original, worker_id: int) -> None:
    if _listener is not None:  # forked; torch has put a handler of its own in the place of ours
        for signum in SIGNALS:
            signal.signal(signum, _listener)
    if original is not None:
        original(worker_id)


def stop_alone_if_asked() -> None:
    """A safe point of work that every process does by itself: raise Preempted if this one got a signal."""
    if _listener is not None and _listener.received:
        raise Preempted


def stop_if_asked() -> None:
    """A safe point: raise Preempted on all ranks if any got a signal; where they talk by GPUs, at the next one.
    Collective while the run listens; else nothing happens."""
    if _listener is None:
        return
    signum = _agreed_signal(_listener)
    if signum:
        name = signal.Signals(signum).name
        say(f'{name}: stopping; a second signal ends the run at once')
        raise Preempted


def _agreed_signal(listener: _Listener) -> int:
    """The signal that any rank got, 0 for none; of GPUs the answer of the safe point before: nobody waits for it."""
    device = get_comm_device() if get_world_size() > 1 else torch.device('cpu')
    signum = to_device(torch.tensor(listener.received), device)
    all_reduce(signum, 'max')
    answer, listener.answer = listener.answer, Readback(signum)
    if not is_asynchronous(device):
        answer = listener.answer
    return int(answer.wait()) if answer is not None else 0
