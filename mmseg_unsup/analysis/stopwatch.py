"""Where the time of a program goes, by phase and part, without overlap."""
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from resource import RUSAGE_SELF, getrusage
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple
from unittest import mock

import torch

REST = 'rest'


class Seconds(NamedTuple):
    """Time on the clock, time that the threads of this process were busy, and of this what was not the kernel's."""
    wall: float
    cpu: float
    user: float


def cost_clock(device: torch.device) -> Callable[[], float]:
    """What measures a cost: seconds of CPU, or those on the clock once a GPU has done all that it was given."""
    if device.type == 'cpu':
        return time.process_time
    from torch.utils.benchmark import timer  # which looks for GPUs at once, before any could be hidden
    return timer


class Stopwatch:
    """Books every moment on exactly one ``(phase, part)``, the innermost of each that is open.

    Args:
        device: whose queued kernels must end before a phase does, so that they are booked on it.
    """

    def __init__(self, device: torch.device = torch.device('cpu')) -> None:
        self.device = device
        self._stack = ExitStack()
        self._open = REST, REST
        self.reset()

    def reset(self) -> None:
        """Forget what was booked."""
        self._seconds: Dict[Tuple[str, str], Seconds] = defaultdict(lambda: Seconds(0., 0., 0.))
        self._last = self._now()

    @property
    def seconds(self) -> Dict[Tuple[str, str], Seconds]:
        """Seconds so far by ``(phase, part)``."""
        self._book()
        return dict(self._seconds)

    @contextmanager
    def span(self, phase: Optional[str] = None, part: str = REST):
        """Book the block on a phase, or on a part of the open one; parts opened inside a phase belong to it."""
        before = self._open
        self._switch(phase or before[0], part)
        try:
            yield
        finally:
            self._switch(*before)

    def watch(self, owner: Any, attribute: str, **span: str) -> None:
        """Book all calls of a function, method or module function on a :meth:`span`, until :meth:`release`."""
        watched = self.span(**span)(getattr(owner, attribute))
        self._stack.enter_context(mock.patch.object(owner, attribute, watched))

    def release(self) -> None:
        """Take all watches off."""
        self._stack.close()

    def _switch(self, phase: str, part: str) -> None:
        if phase != self._open[0] and self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)
        self._book()
        self._open = phase, part

    def _book(self) -> None:
        now, so_far = self._now(), self._seconds[self._open]
        self._seconds[self._open] = Seconds(*(total + new - old for total, new, old in zip(so_far, now, self._last)))
        self._last = now

    @staticmethod
    def _now() -> Seconds:
        return Seconds(time.perf_counter(), time.process_time(), getrusage(RUSAGE_SELF).ru_utime)
