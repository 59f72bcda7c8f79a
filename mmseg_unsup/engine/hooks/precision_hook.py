"""The precision of passes that no gradient goes through."""
from functools import partial
from typing import Callable, ContextManager

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper
from mmengine.runner.amp import autocast

from ...registry import HOOKS
from ...utils.speed import computes_in_bfloat16
from ..feature_pass import unwrap
from ..optimizers import BFloat16OptimWrapper

MODES = ('auto', 'float32', 'bfloat16')


@HOOKS.register_module()
class PrecisionHook(Hook):
    """Clustering, labels, what is fitted for an evaluation, and the evaluation run the network in this precision.

    Features are made unit length, distances and labels computed in float32 all the same, and the step of the optimiser
    keeps the precision of its wrapper; a frozen backbone whose outputs are rounded (``float16``) runs in this precision
    there too. What predicts outside a runner, such as ``mmseg-unsup predict``, is in float32.

    Args:
        without_gradient: ``'float32'``; ``'bfloat16'``; or ``'auto'``, that of the training where it is mixed
            (``--amp``), else bfloat16 where the device has its products (GPUs since Ampere, CPUs with AVX512-BF16 or
            AMX) and float32 elsewhere.

    Raises:
        ValueError: another precision.
    """

    priority = 'VERY_HIGH'

    def __init__(self, without_gradient: str = 'auto') -> None:
        if without_gradient not in MODES:
            raise ValueError(f'without_gradient={without_gradient!r} is not one of {MODES}')
        self.without_gradient = without_gradient

    def before_run(self, runner) -> None:
        """Tell the model."""
        model = unwrap(runner.model)
        context = self._context(runner, next(model.parameters()).device)
        for part in (model, getattr(model, 'target_generator', None), getattr(model, 'backbone', None)):
            if hasattr(part, 'no_grad_context'):
                part.no_grad_context = context

    def _context(self, runner, device: torch.device) -> Callable[[], ContextManager]:
        wrapper = getattr(runner, 'optim_wrapper', None)
        if self.without_gradient == 'auto' and isinstance(wrapper, AmpOptimWrapper):
            return partial(autocast, dtype=wrapper.cast_dtype)
        is_mixed = self.without_gradient == 'bfloat16' or self.without_gradient == 'auto' and (
            isinstance(wrapper, BFloat16OptimWrapper) or _all_ranks(computes_in_bfloat16(device.type)))
        return partial(autocast, dtype=torch.bfloat16) if is_mixed else partial(autocast, enabled=False)


def _all_ranks(answer: bool) -> bool:
    """Whether the answer is yes on all. Collective."""
    yes = torch.tensor(float(answer))
    all_reduce(yes, op='min')
    return bool(yes)
