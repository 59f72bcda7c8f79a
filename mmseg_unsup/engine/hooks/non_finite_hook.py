"""What to do when the loss is not a number any more."""
from typing import List

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper

from ...registry import HOOKS
from ...utils.checks import check_count
from ...utils.console import warn_once
from ..feature_pass import NonFiniteError, unwrap

ACTIONS = ('raise', 'skip')


@HOOKS.register_module()
class NonFiniteHook(Hook):
    """Looks at the gradients before they are applied, and at the loss.

    Args:
        action: ``'raise'`` ends the run by a :class:`NonFiniteError`, on all ranks, before a weight is changed, with
            the iteration, the images of the batch and the last checkpoint, which is a good one. ``'skip'`` leaves out
            the step: weights, moments of the optimiser and running statistics of batch norm stay as they were.
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
        self._is_bad, self._handle = False, None

    def before_train(self, runner) -> None:
        """Look before every step of the optimiser; loss scaling skips infinite gradients by itself."""
        if type(runner.optim_wrapper) is not AmpOptimWrapper:
            self._handle = runner.optim_wrapper.optimizer.register_step_pre_hook(self._check_gradients)

    def after_train(self, runner) -> None:
        if self._handle is not None:
            self._handle.remove()

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Keep what a bad step would spoil, and the names of its images."""
        if runner.optim_wrapper.should_update():  # a new accumulation begins
            self._paths = []
        self._paths += [sample.img_path for sample in data_batch['data_samples']]
        self._is_bad = False
        if self.action == 'skip':
            self._statistics = [buffer.clone() for buffer in unwrap(runner.model).buffers()]

    def _check_gradients(self, optimizer, args, kwargs) -> None:
        """Without gradients a step changes nothing. They are averaged over ranks, so all ranks see the same."""
        params = [param for group in optimizer.param_groups for param in group['params'] if param.grad is not None]
        if params and not bool(torch.stack([param.grad.sum() for param in params]).isfinite().all()):
            self._is_bad = True
            for param in params:
                param.grad = None

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Stop, or undo what the forward pass did."""
        loss = torch.as_tensor((outputs or {}).get('loss', 0.))
        flag = torch.tensor(int(self._is_bad or not loss.isfinite()))
        all_reduce(flag, 'max')
        if not flag:
            self._in_a_row = 0
            return
        self._in_a_row += 1
        message = (f'the loss or a gradient of iteration {runner.iter + 1} (epoch {runner.epoch + 1}) is not finite; '
                   f'the images of the batch on this process are {", ".join(self._paths)}')
        if self.action == 'raise' or self._in_a_row > self.max_skips:
            last = runner.message_hub.get_info('last_ckpt', None)
            raise NonFiniteError(f'{message}; the last good checkpoint is {last or "none"}. Resume from it without --amp '
                                 'or with default_hooks.non_finite.action=skip, or start anew with a lower '
                                 'optim_wrapper.optimizer.lr')
        for buffer, value in zip(unwrap(runner.model).buffers(), self._statistics):
            buffer.copy_(value)
        warn_once(f'step skipped: {message}', about='skipped steps')
