"""The runner of the commands."""
import os
from typing import Dict, Optional, Union

import torch
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, MMLogger
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from ..utils.console import hush


# without it cuBLAS refuses every product in the deterministic mode of torch; read when the first one is calculated
DETERMINISTIC_PRODUCTS = 'CUBLAS_WORKSPACE_CONFIG', ':4096:8'
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
        """As Runner does. The run gets a name of its own: what is made under one name is one object in a process, and
        names end with the second."""
        while MessageHub.check_instance_created(self._experiment_name):
            self._experiment_name += '+'
        logger = super().build_logger(*args, **kwargs)
        hush(logger)
        return logger

    def build_visualizer(self, visualizer: Union[Visualizer, dict, None] = None) -> Visualizer:
        """As Runner does, under the name of the run: configs of mmseg name all visualizers alike."""
        if isinstance(visualizer, dict):
            visualizer = dict(visualizer, name=self.experiment_name)
        return super().build_visualizer(visualizer)

    def set_randomness(self, seed: Optional[int], diff_rank_seed: bool = False, deterministic: bool = False) -> None:
        """As Runner does; the deterministic mode works on GPUs in a plain shell."""
        if deterministic:
            os.environ.setdefault(*DETERMINISTIC_PRODUCTS)
        super().set_randomness(seed, diff_rank_seed, deterministic)

    def register_default_hooks(self, hooks: Optional[Dict[str, Union[Hook, dict, None]]] = None) -> None:
        """As Runner does, which takes None for the hooks of mmengine only."""
        super().register_default_hooks(
            {name: hook for name, hook in (hooks or {}).items() if hook is not None or name in _OF_MMENGINE})
