"""What to do when the loss is not a number any more."""
from typing import List, NamedTuple, Optional

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper

from ...registry import HOOKS
from ...utils.checks import check_count
from ...utils.console import warn_once
from ...utils.devices import Readback, is_asynchronous
from ..feature_pass import NonFiniteError, unwrap

ACTIONS = ('raise', 'skip')


class _Step(NamedTuple):
    """An iteration whose loss and gradients were looked at; the answer may be on its way."""
    flag: Readback  # whether one is not finite, on any rank
    number: int
    epoch: int
    paths: List[str]


@HOOKS.register_module()
class NonFiniteHook(Hook):
    """Looks at the gradients before they are applied, and at the loss.

    A GPU is not waited for: with ``'raise'`` its answer is read after the next step was queued, before any checkpoint
    and at the end of the epoch. A fused optimiser leaves out the bad step by itself; another has spoilt the weights by
    then, in memory only.

    Args:
        action: ``'raise'`` ends the run by a :class:`NonFiniteError`, on all ranks, before a weight is changed, with
            the iteration, the images of the batch and the last checkpoint, which is a good one. ``'skip'`` leaves out
            the step: weights, moments of the optimiser and running statistics of batch norm stay as they were; it
            waits for the GPU at every step.
        max_skips: a run that skips more steps in a row than this ends after all.
    """

    # before hooks that average or save what the step has made
    priority = 'VERY_HIGH'

    def __init__(self, action: str = 'raise', max_skips: int = 10) -> None:
        if action not in ACTIONS:
            raise ValueError(f'action={action!r} is not one of {ACTIONS}')
        check_count('max_skips', max_skips, low=0)
        self.action, self.max_skips = action, max_skips
        self._in_a_row = 0
        self._paths: List[str] = []
        self._is_bad: Optional[torch.Tensor] = None
        self._handle = None
        self._last: Optional[_Step] = None

    def before_train(self, runner) -> None:
        """Look before every step of the optimiser; loss scaling skips infinite gradients by itself."""
        if type(runner.optim_wrapper) is not AmpOptimWrapper:
            self._handle = runner.optim_wrapper.optimizer.register_step_pre_hook(self._check_gradients)

    def after_train(self, runner) -> None:
        if self._handle is not None:
            self._handle.remove()
            runner.optim_wrapper.optimizer.__dict__.pop('found_inf', None)

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Keep what a bad step would spoil, and the names of its images."""
        if runner.optim_wrapper.should_update():  # a new accumulation begins
            self._paths = []
        self._paths += [sample.img_path for sample in data_batch['data_samples']]
        self._is_bad = None
        if self.action == 'skip':
            self._statistics = [buffer.clone() for buffer in unwrap(runner.model).buffers()]

    def _check_gradients(self, optimizer, args, kwargs) -> None:
        """Without gradients a step changes nothing. They are averaged over ranks, so all ranks see the same."""
        params = [param for group in optimizer.param_groups for param in group['params'] if param.grad is not None]
        if not params:
            return
        self._is_bad = ~torch.stack([param.grad.sum() for param in params]).isfinite().all()
        if self._reads_later(self._is_bad):
            if getattr(optimizer, '_step_supports_amp_scaling', False):  # a fused one
                optimizer.found_inf = self._is_bad.float()
        elif self._is_bad:
            for param in params:
                param.grad = None

    def _reads_later(self, flag: torch.Tensor) -> bool:
        return self.action == 'raise' and is_asynchronous(flag.device)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Stop, or undo what the forward pass did."""
        self.settle(runner)
        loss = torch.as_tensor((outputs or {}).get('loss', 0.)).detach()
        flag = (~loss.isfinite() if self._is_bad is None else ~loss.isfinite() | self._is_bad).int()
        all_reduce(flag, 'max')
        self._last = _Step(Readback(flag), runner.iter + 1, runner.epoch + 1, [*self._paths])
        if not self._reads_later(flag):
            self.settle(runner)

    def after_train_epoch(self, runner) -> None:
        self.settle(runner)

    def before_val(self, runner) -> None:
        """Between iterations too."""
        self.settle(runner)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Of hooks that do not ask."""
        self.settle(runner)

    def settle(self, runner) -> None:
        """Act on the answer that is out; before a checkpoint, among others."""
        step, self._last = self._last, None
        if step is None:
            return
        if not step.flag.wait():
            self._in_a_row = 0
            return
        self._in_a_row += 1
        message = (f'the loss or a gradient of iteration {step.number} (epoch {step.epoch}) is not finite; '
                   f'the images of the batch on this process are {", ".join(step.paths)}')
        if self.action == 'raise' or self._in_a_row > self.max_skips:
            last = runner.message_hub.get_info('last_ckpt', None)
            raise NonFiniteError(f'{message}; the last good checkpoint is {last or "none"}. Resume from it without '
                                 '--amp or with default_hooks.non_finite.action=skip, or start anew with a lower '
                                 'optim_wrapper.optimizer.lr')
        for buffer, value in zip(unwrap(runner.model).buffers(), self._statistics):
            buffer.copy_(value)
        warn_once(f'step skipped: {message}', about='skipped steps')
