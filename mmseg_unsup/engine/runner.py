"""The runner of the commands."""
from typing import Dict, Optional, Union

import torch
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from ..utils.console import hush


# those that Runner has by itself, and that it removes where the config says None
_OF_MMENGINE = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')


class ConsoleRunner(Runner):
    """A Runner whose log file has everything, and whose console what a person needs, see
    :mod:`mmseg_unsup.utils.console`, and which leaves out any default hook that is None."""

    def setup_env(self, env_cfg: dict) -> None:
        """As Runner does, and sets how products of float32 matrices may be rounded."""
        super().setup_env(env_cfg)
        torch.set_float32_matmul_precision(env_cfg.get('float32_matmul_precision', 'highest'))

    def build_logger(self, *args, **kwargs) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        hush(logger)
        return logger

    def register_default_hooks(self, hooks: Optional[Dict[str, Union[Hook, dict, None]]] = None) -> None:
        """As Runner does, which takes None for the hooks of mmengine only."""
        super().register_default_hooks(
            {name: hook for name, hook in (hooks or {}).items() if hook is not None or name in _OF_MMENGINE})
