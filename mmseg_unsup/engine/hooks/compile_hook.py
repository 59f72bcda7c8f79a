"""torch.compile for the parts of a model that are worth it."""
from typing import Optional

import torch
from mmengine.hooks import Hook

from ...registry import HOOKS
from ...utils.console import say
from ..feature_pass import unwrap

_PARTS = ('backbone', 'neck', 'aspp')


@HOOKS.register_module()
class CompileHook(Hook):
    """Compiles ``backbone``, ``neck`` and the ``aspp`` of a head, those of a teacher too, when training starts.

    mmengine's own ``compile=True`` compiles the whole training step with the paths of the images in it, and so again at
    every iteration. Modules are compiled in place: names in checkpoints stay. A pass that needs more versions of a
    module than torch allows would run uncompiled without a word, so it is an error here.

    Args:
        mode, backend: of ``torch.compile``.
    """

    priority = 'VERY_HIGH'  # before the first pass over the data

    def __init__(self, mode: Optional[str] = None, backend: str = 'inductor') -> None:
        self.mode, self.backend = mode, backend

    def before_train(self, runner) -> None:
        """Mark the modules; compilation happens at their first call."""
        for name in ('fail_on_recompile_limit_hit', 'fail_on_cache_limit_hit'):  # torch 2.6 renamed it
            if hasattr(torch._dynamo.config, name):
                setattr(torch._dynamo.config, name, True)
        parts = [(name, module) for name, module in unwrap(runner.model).named_modules()
                 if name.split('.')[-1] in _PARTS]
        for _, module in parts:
            module.compile(mode=self.mode, backend=self.backend)
        say(f'torch.compile: {", ".join(name for name, _ in parts)}; the first passes take longer')
