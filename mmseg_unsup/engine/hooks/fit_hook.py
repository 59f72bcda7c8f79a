"""What is fitted to the images at certain moments of a run, several things in one pass."""
from abc import abstractmethod
from collections import Counter, defaultdict
from contextlib import contextmanager, nullcontext
from functools import partialmethod, reduce
from operator import or_
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

import torch
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop
from torch.utils.data import DataLoader

from ...utils.preemption import Preempted
from ..feature_pass import unwrap
from ..fitting import Fit, fit_on_pass
from ..forecast import Pass, evaluates_after, evaluations, progress_of
from ..probe_loader import loader_of_fits
from .phase_timer_hook import time_phase

START, EPOCH, EVALUATION = 'start', 'epoch', 'evaluation'
# methods of a hook -> the moment that they are
EVENTS = dict(before_train=START, before_train_epoch=EPOCH, after_train_epoch=EVALUATION, before_val_epoch=EVALUATION,
              before_test_epoch=EVALUATION)


class Reading(NamedTuple):
    """How a pass reads the images; what is read alike can share it."""
    loader: DataLoader
    key: Tuple[int, ...]  # of all random choices: (seed, ) or (seed, epoch)
    batch_statistics: bool = False  # batch norm uses and follows them


class FitHook(Fit, Hook):
    """Fits something to the features of the training images, in one pass with all other hooks that are due then.

    A subclass is a :class:`Fit`, and says what becomes of it by :meth:`use`, and when by ``moment`` and :meth:`is_due`.
    What is fitted for an evaluation is fitted at the end of the epoch before, so that the checkpoint has it; the first
    step of the next epoch drops it again.

    Attributes:
        moment: ``START`` of the training, each ``EPOCH`` or each ``EVALUATION``, that of the test included.
        phase: name for :func:`time_phase`; '' for none.
        needs_labels (bool): whether a fit reads labels.
        reads_clusters (bool): whether a fit reads what the model makes of its clusters, such as segments; it then
            comes after the passes that fit these.
        in_checkpoint (bool): the checkpoint carries what was fitted, the last one also without an evaluation, so
            ``tools/test.py`` and inference need no training images. One of between two evaluations has none, rather
            than that of older weights.
        refit_on_test (bool): fit again in a test though the checkpoint has brought it.
    """

    moment = EVALUATION
    phase = ''
    needs_labels = False
    reads_clusters = False
    in_checkpoint = refit_on_test = False
    _fitted_at: Optional[int] = None  # iteration; -1 outside a training

    # after TrainProgressHook (BELOW_NORMAL, 60) closed its display; before ParamSchedulerHook (LOW, 70), whose step a
    # run that is stopped in this pass would repeat; and before the checkpoint (VERY_LOW)
    priority = 65

    def prepare(self, runner) -> None:
        """Called before the pass."""

    @abstractmethod
    def use(self, runner, model: torch.nn.Module) -> None:
        """Give the model, unwrapped, what was fitted."""

    def needs_pixels(self, model: torch.nn.Module) -> bool:
        """Whether the fit looks at more of the images than the network's outputs, so that a feature cache will not
        do."""
        return False

    def forget(self, model: torch.nn.Module) -> None:
        """Drop what was fitted for an evaluation."""

    def is_fitted(self, model: torch.nn.Module) -> bool:
        """Whether the model has what a test needs, because the checkpoint brought it."""
        return False

    def reading(self, runner, labelled: bool = False) -> Reading:
        """How this hook reads the images: those of ``probe_dataloader``, as evaluation sees them.

        Args:
            labelled: other hooks read labels, so where these come with the same images, take them so.
        """
        return Reading(loader_of_fits(runner, self.needs_labels, labelled), (runner.seed, ))

    def is_due(self, runner, event: str) -> bool:
        """Whether to fit at an event, one of :data:`EVENTS`."""
        if EVENTS[event] != self.moment or self._fitted_at == _iteration(runner):
            return False
        if event == 'after_train_epoch':
            return evaluates_after(runner, runner.epoch + 1) or self.in_checkpoint and self.is_last_train_epoch(runner)
        return event != 'before_test_epoch' or self.refit_on_test or not self.is_fitted(unwrap(runner.model))

    def fit(self, runner, others: Sequence['FitHook'] = (), reading: Optional[Reading] = None) -> None:
        """Fit now, in one pass with other hooks that read alike."""
        model, hooks = unwrap(runner.model), [self, *others]
        loader, key, batch_statistics = reading or self.reading(runner)
        phase = ', '.join(hook.phase for hook in hooks if hook.phase)
        with time_phase(phase) if phase else nullcontext(), _as_it_was(model):
            for hook in hooks:
                hook.prepare(runner)
            model.train(batch_statistics)
            images = any(hook.needs_pixels(model) for hook in hooks)
            with loader.dataset.reading_images() if images else nullcontext():
                fit_on_pass(hooks, model, loader, key)
            for hook in hooks:
                hook.use(runner, model)
                hook._fitted_at = _iteration(runner)

    def times(self, runner) -> Sequence[int]:
        """Epochs, or iterations where the run counts those, at which it will fit; by default for evaluations."""
        at, (start, end) = evaluations(runner), progress_of(runner)
        return at + [end - 1] * (self.in_checkpoint and start < end and end - 1 not in at)

    def assigned_rows(self, runner, n_images: int, n_cells: int) -> List[Tuple[int, int]]:
        """Work of the fit beside the network's, see :meth:`mmseg_unsup.clustering.StreamSettings.assigned_by`."""
        return []

    def passes(self, runner) -> List[Pass]:
        """Those of all hooks of this moment, which the first of them gives; see :class:`Pass`."""
        hooks = [hook for hook in _fit_hooks(runner) if hook.moment == self.moment and hook.times(runner)]
        return [_pass(runner, *shared) for shared in _by_reading(runner, hooks)] if self in hooks[:1] else []

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Drop what the weights are about to outgrow."""
        if batch_idx == 0 and self.moment == EVALUATION:
            self.forget(unwrap(runner.model))

    def before_val(self, runner) -> None:
        """Outside a training nobody says whether the weights have changed."""
        if _iteration(runner) < 0:
            self._fitted_at = None

    def before_test(self, runner) -> None:
        self._fitted_at = None

    def _on(self, event: str, runner) -> None:
        if self.is_due(runner, event):
            fit_due(runner, event)

    before_train = partialmethod(_on, 'before_train')
    before_train_epoch = partialmethod(_on, 'before_train_epoch')
    after_train_epoch = partialmethod(_on, 'after_train_epoch')
    before_val_epoch = partialmethod(_on, 'before_val_epoch')
    before_test_epoch = partialmethod(_on, 'before_test_epoch')


def fit_due(runner, event: str) -> None:
    """Fit all that is due at an event, one of :data:`EVENTS`; what is read alike in one pass."""
    due = [hook for hook in _fit_hooks(runner) if hook.is_due(runner, event)]
    for reading, (first, *others) in _by_reading(runner, due):
        first.fit(runner, others, reading)


def _fit_hooks(runner) -> List[FitHook]:
    return [hook for hook in runner.hooks if isinstance(hook, FitHook)]


def _by_reading(runner, hooks: Sequence[FitHook]) -> Iterator[Tuple[Reading, List[FitHook]]]:
    """Those that share a pass, the passes in their order."""
    for reads_clusters in (False, True):
        group = [hook for hook in hooks if hook.reads_clusters == reads_clusters]
        labelled, shared = any(hook.needs_labels for hook in group), defaultdict(list)
        for hook in group:
            shared[hook.reading(runner, labelled)].append(hook)
        yield from shared.items()


def _pass(runner, reading: Reading, hooks: Sequence[FitHook]) -> Pass:
    numbers = [hook.count_images(unwrap(runner.model), reading.loader) for hook in hooks]
    times = reduce(or_, (Counter(hook.times(runner)) for hook in hooks))
    return Pass(reading.loader, max(numbers), sorted(times.elements()), fits=lambda n_cells: [
        rows for hook, n_images in zip(hooks, numbers) for rows in hook.assigned_rows(runner, n_images, n_cells)])


def _iteration(runner) -> int:
    """-1 outside training, where asking the runner would build the training data set."""
    return runner.iter if isinstance(runner._train_loop, BaseLoop) else -1


@contextmanager
def _as_it_was(model: torch.nn.Module) -> Iterator[None]:
    """The model is in its mode again after the block; a pass that is stopped in it also leaves no trace in the
    statistics of batch norm."""
    was_training = model.training
    before = {name: buffer.clone() for name, buffer in model.named_buffers() if 'running_' in name or 'batches' in name}
    try:
        yield
    except Preempted:
        buffers = dict(model.named_buffers())
        for name, buffer in before.items():
            buffers[name].copy_(buffer)
        raise
    finally:
        model.train(was_training)
