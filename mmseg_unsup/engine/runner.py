"""The runner of the commands."""
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from ..utils.console import hush


class ConsoleRunner(Runner):
    """A Runner whose log file has everything, and whose console what a person needs, see
    :mod:`mmseg_unsup.utils.console`."""

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """As Runner does."""
        logger = super().build_logger(*args, **kwargs)
        hush(logger)
        return logger
