"""The epoch-based loop of mmengine, which can also begin inside an epoch and stop anywhere."""
import logging
from itertools import islice
from typing import Optional

import torch
from mmengine.dist import get_world_size
from mmengine.runner import EpochBasedTrainLoop
from torch.utils.data import DataLoader

from ..registry import LOOPS
from ..utils.checks import check_count
from ..utils.console import say
from ..utils.preemption import EXIT_CODE, Preempted, stop_if_asked
from .run_state import own_state, random_state, restore_rank_state, set_random_state

# arguments of a loader that also hold for the rest of its batches
_KEPT = ('num_workers', 'collate_fn', 'pin_memory', 'timeout', 'worker_init_fn', 'prefetch_factor',
         'multiprocessing_context')


@LOOPS.register_module()
class ResumableTrainLoop(EpochBasedTrainLoop):
    """Continues a run at the step, clustering or evaluation where its checkpoint was taken; it ends with the same bits.

    The batches of an epoch before the checkpoint are not read. A clustering or an evaluation that was interrupted is
    repeated. Training steps draw from a stream of the global generators that is theirs: a clustering or an evaluation
    between two steps starts from the same state and does not advance it, so it makes no difference whether it is
    repeated.

    Stopped by a signal (see :class:`mmseg_unsup.PreemptionHook`), it lets the hooks write a checkpoint
    (``on_preemption``) and ends the process with exit status 75.

    Args:
        steps_per_epoch: an epoch ends after so many batches of its order, where all images are more than are wanted
            between two evaluations; None for all.

    Raises:
        ValueError: ``val_interval`` or ``steps_per_epoch`` is below 1; the checkpoint was taken inside an epoch by
            another number of processes, batch size or images.
    """

    def __init__(self, *args, steps_per_epoch: Optional[int] = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        check_count('val_interval', self.val_interval)
        if steps_per_epoch is not None:
            check_count('steps_per_epoch', steps_per_epoch)
        self.n_steps = min(len(self.dataloader), steps_per_epoch or len(self.dataloader))
        self._max_iters = self._max_epochs * self.n_steps
        self.position = 0  # batches of this epoch that are done
        self.completed = {}  # name of a pass over the data, such as 'clustering' -> the last epoch that completed it
        self.has_begun = False
        self._resumed: Optional[dict] = None
        self._in_steps = False
        self._random: Optional[dict] = None

    def state_dict(self, epoch: int) -> dict:
        """Position in an epoch, what it counts, and completed passes; plain values.

        Args:
            epoch: of the checkpoint; one that is written at the end of an epoch belongs to the next.
        """
        position = self.position if epoch == self._epoch else 0
        return dict(position=position, done=dict(self.completed), **self._layout())

    def random_state(self) -> dict:
        """The generators as the next training step must find them."""
        return random_state() if self._in_steps or self._random is None else self._random

    def load_state_dict(self, loop: dict, ranks: list) -> None:
        """Continue from ``loop``, of :meth:`state_dict`, and the states of all ranks."""
        loop = {'position': 0, 'done': {}, **loop}  # a loop of mmengine saves at the end of an epoch
        differing = {key: value for key, value in self._layout().items() if value != loop.get(key)}
        if loop['position'] and differing:
            listing = ', '.join(f'{key} {loop[key]} then and {value} now' for key, value in differing.items())
            raise ValueError(f'the checkpoint was taken after {loop["position"]} batches of an epoch, which are other '
                             f'batches in this run ({listing}): use the same, or resume from a checkpoint of the end '
                             'of an epoch (--resume PATH)')
        self.position, self.completed = loop['position'], dict(loop['done'])
        self._resumed = own_state(ranks)
        if self._resumed is None:
            say(f'the checkpoint is of {len(ranks)} processes: random states start anew', logging.WARNING)

    def _layout(self) -> dict:
        loader = self.dataloader
        return dict(processes=get_world_size(), batch_size=loader.batch_size or 0, images=len(loader.dataset))

    def run(self):
        """Train, evaluate when it is due."""
        try:
            self._run()
        except Preempted:
            self.runner.call_hook('on_preemption')
            raise SystemExit(EXIT_CODE) from None
        return self.runner.model

    def _run(self) -> None:
        self.runner.call_hook('before_train')
        self.has_begun, self._random = True, random_state()
        if self._resumed is not None:
            restore_rank_state(self.runner, self._resumed)
            self._random = self._resumed['random']
            if self.position:
                self.runner.message_hub.update_info('iter', self._iter - 1)  # where the last step left it
            self._evaluate_if_due()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._evaluate_if_due()
        self.runner.call_hook('after_train')

    def run_epoch(self) -> None:
        """The batches of an epoch that are not done yet."""
        set_random_state(self._random)
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        batches = remaining_batches(self.dataloader, self.position) if self.position else self.dataloader
        for idx, data_batch in enumerate(islice(batches, self.n_steps - self.position), self.position):
            if not self._in_steps:
                set_random_state(self._random)
                self._in_steps = True
            self.run_iter(idx, data_batch)
        self._random, self._in_steps = self.random_state(), False
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
        self.position = 0
        stop_if_asked()

    def run_iter(self, idx: int, data_batch) -> None:
        self.position = idx + 1  # hooks that save after this step count it
        super().run_iter(idx, data_batch)
        stop_if_asked()

    def _evaluate_if_due(self) -> None:
        """At the end of an epoch, unless it is done already."""
        self._decide_current_val_interval()
        epoch = self._epoch
        if self.runner.val_loop is None or self.position or epoch < max(1, self.val_begin):
            return
        is_due = epoch % self.val_interval == 0 or epoch == self._max_epochs
        if is_due and self.completed.get('evaluation') != epoch:
            set_random_state(self._random)
            self.runner.val_loop.run()
            self.completed['evaluation'] = epoch


def images_of_epoch(loop: EpochBasedTrainLoop) -> int:
    """Number of images that all processes together train on in an epoch, those that fill the last round included."""
    n_steps, loader = getattr(loop, 'n_steps', len(loop.dataloader)), loop.dataloader
    return get_world_size() * min(len(loader.sampler), n_steps * (loader.batch_size or 1))


def remaining_batches(loader: DataLoader, start: int, generator: Optional[torch.Generator] = None) -> DataLoader:
    """A loader of the batches of an epoch from number ``start`` on; no image of those before is read.

    Args:
        generator: of the seeds of its workers; None for the global one.
    """
    same = {name: getattr(loader, name) for name in _KEPT}
    return DataLoader(loader.dataset, batch_sampler=list(islice(loader.batch_sampler, start, None)),
                      generator=generator, **same)
