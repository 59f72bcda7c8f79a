"""A progress display for the training iterations of an epoch."""
import atexit
from contextlib import ExitStack

from mmengine.hooks import Hook

from ...registry import HOOKS
from ...utils.progress import track_progress
from ..loops import images_of_epoch


@HOOKS.register_module()
class TrainProgressHook(Hook):
    """Shows images done, rate, time left and loss; a bar on a terminal, log lines elsewhere."""

    priority = 'BELOW_NORMAL'

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._advance = None
        atexit.register(self._stack.close)  # a run that fails must not leave the terminal without a cursor

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Open the display at the first step, when clustering and evaluation have closed theirs."""
        if self._advance is not None:
            return
        total = images_of_epoch(runner.train_loop)
        description = f'training epoch {runner.epoch + 1}/{runner.max_epochs}'
        self._advance = self._stack.enter_context(track_progress(description, total))
        if batch_idx > 0:  # of a run that was resumed inside the epoch
            self._advance(batch_idx * runner.train_dataloader.batch_size * runner.world_size)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        losses = runner.message_hub.log_scalars.get('train/loss')  # which are on the host
        note = f'loss {losses.current():.4f}' if losses and len(losses.data[0]) else ''
        self._advance(runner.world_size * len(data_batch['data_samples']), note)

    def after_train_epoch(self, runner) -> None:
        """Close the display before others print."""
        self._stack.close()
        self._advance = None
