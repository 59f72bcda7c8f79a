"""The losses of a step in the message hub, without waiting for them."""
from typing import List, Optional, Tuple

import torch
from mmengine.hooks import LoggerHook, RuntimeInfoHook

from ...registry import HOOKS
from ...utils.devices import Readback, is_asynchronous


@HOOKS.register_module()
class DeferredInfoHook(RuntimeInfoHook):
    """mmengine's ``RuntimeInfoHook``, which waits for a GPU once for each loss of each step, without that.

    The losses of a step on a GPU are in the message hub after the next step was queued; at once where a
    :class:`LoggerHook` reads them, at the end of an epoch and before a checkpoint. The hub has the same numbers in the
    end. On CPUs nothing is different.
    """

    def __init__(self) -> None:
        self._pending: Optional[Tuple[List[str], Readback]] = None

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Send for the losses of this step, take those of the step before."""
        self.settle(runner)
        if not outputs or not all(_is_deferrable(value) for value in outputs.values()):
            super().after_train_iter(runner, batch_idx, data_batch, outputs)
            return
        values = torch.stack([value.detach().reshape(()).double() for value in outputs.values()])  # exact
        self._pending = list(outputs), Readback(values)
        if self.end_of_epoch(runner.train_dataloader, batch_idx) or any(
                isinstance(hook, LoggerHook) and hook.every_n_inner_iters(batch_idx, hook.interval)
                for hook in runner.hooks):
            self.settle(runner)

    def before_val(self, runner) -> None:
        self.settle(runner)
        super().before_val(runner)

    def settle(self, runner) -> None:
        """Give the hub what is on its way."""
        if self._pending is not None:
            (names, values), self._pending = self._pending, None
            for name, value in zip(names, values.wait().tolist()):
                runner.message_hub.update_scalar(f'train/{name}', value)


def _is_deferrable(value) -> bool:
    return isinstance(value, torch.Tensor) and value.numel() == 1 and is_asynchronous(value.device)
