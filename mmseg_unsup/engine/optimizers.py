"""Mixed precision that needs no loss scaling and works without a GPU."""
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.runner.amp import autocast
from torch import nn

from ..registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Forward passes in bfloat16 where that is safe, weights and gradients in float32, on CPU and CUDA.

    mmengine's ``AmpOptimWrapper`` refuses CPUs and scales the loss, which bfloat16 with its float32 range never needs.
    """

    @contextmanager
    def optim_context(self, model: nn.Module):
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield
