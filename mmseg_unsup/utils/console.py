"""What a person reads while a command runs. The log file has that and everything else."""
import logging
import sys
import warnings
from contextlib import contextmanager
from typing import Iterator, List, Optional, Sequence, Set, Tuple

from mmengine.logging import MMLogger
from mmengine.logging import logger as logger_of_mmengine

_FLAG = 'for_people'
_PACKAGE = __name__.partition('.')[0]
_is_quiet = False
_warned: Set[Tuple[str, str]] = set()  # names of loggers and things


def say(text: str, level: int = logging.INFO) -> None:
    """Tell the person at the console; in a script of one's own, where the console has the whole log, log it."""
    MMLogger.get_current_instance().log(level, text, extra={_FLAG: True})


def warn_once(text: str, about: Optional[str] = None) -> None:
    """Say a warning; what was said of the same thing in this process is only logged.

    Args:
        about: the thing; the text by default.
    """
    logger, about = MMLogger.get_current_instance(), about or text
    logger.warning(text, extra={_FLAG: (logger.instance_name, about) not in _warned})
    _warned.add((logger.instance_name, about))


@contextmanager
def quiet_console() -> Iterator[None]:
    """A block in which the console has only what is said, and errors; warnings of other packages are logged."""
    global _is_quiet
    before, show_before = _is_quiet, warnings.showwarning
    _is_quiet, warnings.showwarning = True, _log_warning
    hush(MMLogger.get_current_instance())
    # what print_log calls where it is given no logger
    logger_of_mmengine.print = lambda text: MMLogger.get_current_instance().info(text)
    try:
        yield
    finally:
        _is_quiet, warnings.showwarning = before, show_before
        if not before:
            logger_of_mmengine.__dict__.pop('print', None)


def hush(logger: MMLogger) -> None:
    """Let a logger print only what is said, while this process is quiet; its files get all."""
    for handler in [*logger.handlers]:
        if type(handler) is logging.StreamHandler:
            logger.removeHandler(handler)
            logger.addHandler(_ConsoleHandler(handler))


def log_files() -> List[logging.FileHandler]:
    """Paths of the files of the logger of the moment."""
    return [handler for handler in MMLogger.get_current_instance().handlers if isinstance(handler, logging.FileHandler)]


def file_log(text: str, besides: Sequence[logging.FileHandler] = ()) -> Optional[str]:
    """Write a text into the log file of the run, if there is one; its path.

    Args:
        besides: log files of former runs of this process.
    """
    logger, files = MMLogger.get_current_instance(), [file for file in log_files() if file not in besides]
    for handler in files:
        handler.handle(logger.makeRecord(logger.name, logging.ERROR, __file__, 0, text, (), None))
    return files[0].baseFilename if files else None


class _ConsoleHandler(logging.StreamHandler):
    """Prints on the standard output of the moment, which a progress bar may have replaced; while the process is quiet,
    what is said as it is, and nothing else but errors."""

    def __init__(self, loud: logging.StreamHandler) -> None:
        super().__init__(sys.stdout)
        self.setLevel(loud.level)
        self.setFormatter(loud.formatter)

    def filter(self, record: logging.LogRecord) -> bool:
        return not _is_quiet or getattr(record, _FLAG, False) or record.levelno >= logging.ERROR

    def format(self, record: logging.LogRecord) -> str:
        if not _is_quiet:
            return super().format(record)
        prefix = f'{record.levelname.lower()}: ' if record.levelno >= logging.WARNING else ''
        return prefix + record.getMessage()

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stdout
        super().emit(record)


def _log_warning(message, category, filename, lineno, file=None, line=None) -> None:
    """Log a warning, in the place of ``warnings.showwarning``."""
    is_ours = f'/{_PACKAGE}/' in filename.replace('\\', '/')
    MMLogger.get_current_instance().log(logging.WARNING, str(message), extra={_FLAG: is_ours})


def next_steps(*commands: str) -> str:
    """The commands of this package that may come next, a line for each."""
    return '\n  mmseg-unsup '.join(['next:', *commands])


def duration(seconds: float) -> str:
    """``40 s``, ``3.5 min``, ``2.1 h``."""
    if seconds < 99.5:
        return f'{seconds:.0f} s'
    return f'{seconds / 60:.1f} min' if seconds < 5970 else f'{seconds / 3600:.1f} h'


def size_text(size: Tuple[int, int]) -> str:
    """Height and width as ``640x480``, width first; a file may claim thousands of digits."""
    return f'{size[1]!s:.20}x{size[0]!s:.20}'


def counted(number: int, noun: str) -> str:
    """A number of things."""
    return f'{number} {noun}{"s" * (number != 1)}'
