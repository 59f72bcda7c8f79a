"""Where the time of a program goes, by phase and part, without overlap."""
import functools
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from typing import Any, Dict, NamedTuple, Tuple

import torch

REST = 'rest'


class Seconds(NamedTuple):
    """Time on the clock, and time that the threads of this process were busy."""
    wall: float
    cpu: float


class Stopwatch:
    """Books every moment on exactly one ``(phase, part)``, the innermost of each that is open.

    Args:
        device: whose queued kernels must end before a phase does, so that they are booked on it.
    """

    def __init__(self, device: torch.device = torch.device('cpu')) -> None:
        self.device = device
        self._stack = ExitStack()
        self._phase, self._part = REST, REST
        self.reset()

    def reset(self) -> None:
        """Forget what was booked."""
        self._seconds: Dict[Tuple[str, str], Seconds] = defaultdict(lambda: Seconds(0., 0.))
        self._last = self._now()

    @property
    def seconds(self) -> Dict[Tuple[str, str], Seconds]:
        """Seconds so far by ``(phase, part)``."""
        self._book()
        return dict(self._seconds)

    @contextmanager
    def phase(self, name: str):
        """Book the block on a phase; parts opened inside belong to it."""
        before = self._phase, self._part
        self._switch(name, REST)
        try:
            yield
        finally:
            self._switch(*before)

    @contextmanager
    def part(self, name: str):
        """Book the block on a part of the open phase."""
        before = self._part
        self._switch(self._phase, name)
        try:
            yield
        finally:
            self._switch(self._phase, before)

    def watch(self, owner: Any, attribute: str, *, phase: str = None, part: str = None) -> None:
        """Book all calls of a function, method or module function; :meth:`release` takes the watch off again."""
        function = getattr(owner, attribute)
        is_own = attribute in vars(owner)
        span = functools.partial(self.phase, phase) if phase else functools.partial(self.part, part)

        @functools.wraps(function)
        def watched(*args, **kwargs):
            with span():
                return function(*args, **kwargs)

        setattr(owner, attribute, watched)
        self._stack.callback(setattr if is_own else lambda o, a, _: delattr(o, a), owner, attribute, function)

    def release(self) -> None:
        """Take all watches off."""
        self._stack.close()

    def _switch(self, phase: str, part: str) -> None:
        if phase != self._phase and self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)
        self._book()
        self._phase, self._part = phase, part

    def _book(self) -> None:
        now, key = self._now(), (self._phase, self._part)
        so_far = self._seconds[key]
        self._seconds[key] = Seconds(so_far.wall + now.wall - self._last.wall, so_far.cpu + now.cpu - self._last.cpu)
        self._last = now

    @staticmethod
    def _now() -> Seconds:
        return Seconds(time.perf_counter(), time.process_time())
