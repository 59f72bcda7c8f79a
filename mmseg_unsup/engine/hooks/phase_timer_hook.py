"""Seconds per phase of an epoch."""
import time
from contextlib import contextmanager
from typing import Dict, Iterator

from mmengine.hooks import Hook
from mmengine.logging import MessageHub

from ...registry import HOOKS
from ...utils.run_logs import PHASE_PREFIX
from ..forecast import evaluates_after

_INFO_KEY = 'phase_seconds'


@contextmanager
def time_phase(name: str) -> Iterator[None]:
    """Add the seconds of the block to a phase of the running epoch."""
    start = time.time()
    try:
        yield
    finally:
        add_phase_seconds(name, time.time() - start)


def add_phase_seconds(name: str, seconds: float) -> None:
    hub = MessageHub.get_current_instance()
    phases: Dict[str, float] = dict(hub.get_info(_INFO_KEY, {}))
    phases[name] = phases.get(name, 0.) + seconds
    hub.update_info(_INFO_KEY, phases, resumed=False)


@HOOKS.register_module()
class PhaseTimerHook(Hook):
    """Logs ``seconds per phase: cluster 12.3, train 20.1, evaluate 4.5`` after each epoch and its evaluation, and gives
    them to the backends of the visualizer as ``seconds/cluster`` and so on.

    Parts that take time of their own (clustering, fresh k-means) time themselves by :func:`time_phase`; training and
    evaluation are timed here.
    """

    priority = 'LOWEST'  # before an epoch or an evaluation, clustering and k-means are over then

    def before_train_epoch(self, runner) -> None:
        self._start = self._last = time.time()

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Take the time after the last iteration, before other hooks save or cluster."""
        self._last = time.time()

    def after_train_epoch(self, runner) -> None:
        add_phase_seconds('train', self._last - self._start)
        if not evaluates_after(runner, runner.epoch + 1):
            self._report(runner, runner.epoch + 1)

    def before_val_epoch(self, runner) -> None:
        self._start = time.time()

    def after_val_epoch(self, runner, metrics=None) -> None:
        add_phase_seconds('evaluate', time.time() - self._start)
        self._report(runner, runner.epoch)

    @staticmethod
    def _report(runner, epoch: int) -> None:
        phases = runner.message_hub.get_info(_INFO_KEY, {})
        runner.logger.info('seconds per phase: ' + ', '.join(f'{name} {sec:.1f}' for name, sec in phases.items()))
        runner.visualizer.add_scalars({PHASE_PREFIX + name: sec for name, sec in phases.items()}, step=epoch)
        runner.message_hub.update_info(_INFO_KEY, {}, resumed=False)
