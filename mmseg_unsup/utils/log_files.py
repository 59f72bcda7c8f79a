"""The log of a call that is more than one run of a Runner, each of which logs to a file of its own."""
import time
from contextlib import contextmanager
from typing import Iterator

from mmengine.logging import MMLogger

from .console import hush


def open_log(path: str) -> MMLogger:
    """Make a logger whose file is ``path``, at its end, the current one."""
    logger = MMLogger.get_instance(f'{path} {time.time_ns()}', log_file=path, file_mode='a')
    hush(logger)
    return logger


def make_current(logger: MMLogger) -> None:
    """Let what is logged from now on go to a logger that was made before others."""
    loggers = MMLogger._instance_dict  # the last one is the current one
    loggers[logger.instance_name] = loggers.pop(logger.instance_name)


@contextmanager
def closing_logs() -> Iterator[None]:
    """Loggers that are made in the block end with it, and the current one is what it was."""
    before = [MMLogger.get_current_instance(), *MMLogger._instance_dict.values()]
    try:
        yield
    finally:
        for name, logger in [*MMLogger._instance_dict.items()]:
            if logger not in before:
                del MMLogger._instance_dict[name]
                for handler in logger.handlers:
                    handler.close()
        make_current(before[0])
