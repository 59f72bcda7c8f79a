"""A training from its config."""
from mmengine.config import Config

from .hooks import LongerScheduleHook, RunFolderHook
from .run_folder import owned_folder
from .runner import ConsoleRunner


def train_config(cfg: Config, restart: bool = False) -> None:
    """Train the run of a config in ``cfg.work_dir``, which it owns until it ends; see :func:`owned_folder`.

    Args:
        restart: the run may take the place of one that is there.
    """
    with owned_folder(cfg, restart) as folder:
        runner = ConsoleRunner.from_cfg(cfg)
        runner.register_hook(RunFolderHook(folder))
        runner.register_hook(LongerScheduleHook())
        runner.train()
        folder.finish()
