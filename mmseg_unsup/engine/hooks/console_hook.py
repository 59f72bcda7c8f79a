"""What a person reads while a training runs."""
import time
from typing import Dict, List, Optional

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop

from ...weights import initial_source
from ...registry import HOOKS
from ...utils.console import counted, duration, say
from ...utils.paths import shown
from ...utils.run_logs import TRAINED_ON, read_run_log
from ...utils.score_table import change_table, headline, main_scores
from ..feature_pass import unwrap
from ..forecast import Cost, Forecast, evaluates_after, forecast, measure, planned_passes, progress_of
from ..run_facts import (clusters_fact, config_fact, data_fact, device_fact, folder_fact, result_files, say_end,
                         say_facts)
from ..shared_memory import warn_of_shared_memory
from .compile_hook import CompileHook
from .initialization_hook import InitializationHook
from .pixel_clustering_hook import PixelClusteringHook

# lines of a run that counts iterations
_N_LINES = 10


@HOOKS.register_module()
class ConsoleHook(Hook):
    """Says what a run works on and how long it will take, a line per epoch, and what came of it.

    Everything is in the log too. :func:`mmseg_unsup.engine.training.train_config` registers it.

    Args:
        command: by which a run that was stopped goes on.
    """

    # when the weights are there and all has been checked (ABOVE_NORMAL), before the first image is read (NORMAL)
    priority = 45

    def __init__(self, command: str = 'the same command with --resume') -> None:
        self.command = command
        self.cost: Optional[Cost] = None
        self.forecast: Optional[Forecast] = None
        self._scores: Dict[int, dict] = {}  # by epoch or iteration; 0 is before training
        self._loss: List[torch.Tensor] = []

    def before_train(self, runner) -> None:
        """Say what there is, then measure."""
        self._start = self._last = time.time()
        self._first, self._end = progress_of(runner)
        self._unit = 'epoch' if isinstance(runner.train_loop, EpochBasedTrainLoop) else 'iteration'
        self._cost_of_training(runner)
        if is_main_process():
            say_facts(self._facts(runner))
            self._warn_of_shared_memory(runner)
        self._predict(runner)
        self._start = self._last = time.time()

    def _cost_of_training(self, runner) -> None:
        if any(isinstance(hook, CompileHook) for hook in runner.hooks):
            return  # a batch of another size would be compiled anew
        try:
            self.cost = measure(runner, runner.train_dataloader, trains=True)
        except Exception as error:  # of what makes a run fail, the run will tell
            runner.logger.info(f'the time of a step could not be measured: {error}')

    @staticmethod
    def _warn_of_shared_memory(runner) -> None:
        try:
            warn_of_shared_memory(runner.train_dataloader)
        except Exception as error:  # of an image that cannot be read, the run will tell
            runner.logger.info(f'the size of a batch could not be measured: {error}')

    def _predict(self, runner) -> None:
        if self.cost is None:
            return
        try:
            self.forecast = forecast(runner, planned_passes(runner), self.cost)
        except Exception as error:
            runner.logger.info(f'the time of the run could not be measured: {error}')
            return
        n_left = self._end - self._first
        if n_left > 0:
            seconds = self.forecast.seconds(self._first)
            say_facts(dict(time=f'about {duration(seconds)} for {counted(n_left, self._unit)}'))

    def _facts(self, runner) -> Dict[str, str]:
        data = data_fact(runner.train_dataloader, self.cost and self.cost.size)
        if runner.val_loop is not None:
            data += f', {len(runner.val_dataloader.dataset):,} to evaluate'
        return dict(
            config=config_fact(runner.cfg), data=data, folder=folder_fact(runner.train_dataloader),
            device=device_fact(runner), start=self._origin(runner), labels=_labels_seen(runner),
            clusters=clusters_fact(runner), output=shown(runner.work_dir))

    def _origin(self, runner) -> str:
        """Which weights a run starts from."""
        if runner._has_loaded:
            done = f' after {self._first} of {self._end} {self._unit}s' if runner._resume else ''
            return shown(runner._load_from) + done
        backbone = getattr(unwrap(runner.model), 'backbone', None)
        source = backbone and initial_source(backbone)
        return shown(source) if source else 'random weights'

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Remember the loss; where iterations are counted, say how far the run is."""
        loss = (outputs or {}).get('loss')
        if loss is not None:
            self._loss.append(torch.as_tensor(loss).detach())
        if self._unit == 'iteration':
            done = runner.iter + 1
            every = max(1, -(-self._end // _N_LINES))
            if (done % every == 0 or done == self._end) and not evaluates_after(runner, done):
                self._say_progress(runner, done)

    def after_train_epoch(self, runner) -> None:
        if self._unit == 'epoch' and not evaluates_after(runner, runner.epoch + 1):
            self._say_progress(runner, runner.epoch + 1)

    def after_val_epoch(self, runner, metrics=None) -> None:
        """Of the evaluation before the training too."""
        done = progress_of(runner)[0]
        self._scores[done] = dict(metrics or {})
        self._say_progress(runner, done)

    def _say_progress(self, runner, done: int) -> None:
        now = time.time()
        score = headline(self._scores.get(done, {}))
        words = [f'{self._unit} {done}/{self._end}' if self._loss or done else 'before training']
        if self._loss:
            words.append(f'loss {torch.stack(self._loss).float().mean().item():.3g}')
        words.append(duration(now - self._last))
        left = self._seconds_left(done, now)
        if left is not None and done < self._end:
            words.append(f'{duration(left)} left')
        if score:
            words.append(score)
        n_empty = sum(hook.n_empty for hook in runner.hooks if isinstance(hook, PixelClusteringHook))
        if n_empty:
            words.append(counted(n_empty, 'empty cluster'))
        self._last, self._loss = now, []
        say('  '.join(words))

    def _seconds_left(self, done: int, now: float) -> Optional[float]:
        """The forecast, as much longer or shorter as the run has taken so far."""
        n_done = done - self._first
        spent = now - self._start
        if n_done < 1:
            return self.forecast and max(self.forecast.seconds(done) - spent, 0.)
        expected = self.forecast.seconds(self._first, done) if self.forecast else 0
        return self.forecast.seconds(done) * spent / expected if expected else spent / n_done * (self._end - done)

    def say_result(self, runner) -> None:
        """Scores before and after, minutes, and the files to open."""
        if not is_main_process():
            return
        after = self._scores[max(self._scores)] if self._scores else {}
        if main_scores(after):
            say(change_table(self._scores_before(runner), after))
        say_end(f'finished in {duration(time.time() - self._start)}', result_files(runner))

    def _scores_before(self, runner) -> Optional[dict]:
        """Of this process or, where it resumed, of the one that began the run."""
        if 0 in self._scores:
            return self._scores[0]
        try:
            return read_run_log(runner.work_dir).evaluations.get(0)
        except FileNotFoundError:
            return None

    def say_stopped(self, runner) -> None:
        """Where a run that a signal has stopped goes on."""
        last = runner.message_hub.get_info('last_ckpt', None)
        if not last:
            say('stopped before the first checkpoint: start again')
        else:
            say(f'stopped; all that was done is in {shown(last)}; to go on:\n  {self.command}')


def _labels_seen(runner) -> str:
    hook = next((hook for hook in runner.hooks if isinstance(hook, InitializationHook)), None)
    if hook is None or not hook.initially_seen:
        return ''
    seen = f'seen by these weights: {hook.initially_seen.removesuffix(" labels")}'
    return f'{seen}; {TRAINED_ON}{hook.trained_on.removesuffix(" labels")}' if hook.trained_on else seen
