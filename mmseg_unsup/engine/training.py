"""A training from its config."""
from mmengine.config import Config

from ..datasets.image_files import sharing_listings
from ..utils.config_check import check_config
from ..utils.preemption import EXIT_CODE
from .hooks import ConsoleHook, LongerScheduleHook, RunFolderHook
from .run_folder import owned_folder
from .runner import ConsoleRunner


@sharing_listings()
def train_config(cfg: Config, restart: bool = False, resume_command: str = 'the same command with --resume') -> None:
    """Train the run of a config in ``cfg.work_dir``, which it owns until it ends; see :func:`owned_folder`.

    Args:
        restart: the run may take the place of one that is there.
        resume_command: what continues a run that is stopped, for its message.

    Raises:
        ValueError: something in the config is wrong, see :func:`check_config`; the folder is that of another run.
    """
    check_config(cfg, ('train', 'val'))
    console = ConsoleHook(resume_command)
    with owned_folder(cfg, restart) as folder:
        runner = ConsoleRunner.from_cfg(cfg)
        runner.register_hook(RunFolderHook(folder))
        runner.register_hook(LongerScheduleHook())
        runner.register_hook(console)
        try:
            runner.train()
        except SystemExit as end:
            if end.code == EXIT_CODE:
                console.say_stopped(runner)
            raise
        folder.finish()
        console.say_result(runner)
