"""What every command has around it: a quiet console, errors of one sentence, an exit status."""
import linecache
import os
import re
import sys
import traceback
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Iterator

from ..utils.console import file_log, quiet_console
from ..utils.data_workers import ending_data_workers

USAGE, FAULT, INTERRUPTED = 2, 1, 130
_OF_WORKER = 'Original Traceback (most recent call last):'
_CAUSED_BY_USERS = (ValueError, OSError, ImportError, MemoryError, NotImplementedError)


@contextmanager
def running(verbose: bool, show_traceback: bool) -> Iterator[SimpleNamespace]:
    """Run a command in the block; an error is one sentence on stderr, and its traceback is in the log if there is one.

    Args:
        verbose: print what the log has.
        show_traceback: print the traceback.

    Yields:
        what has the exit ``status`` afterwards: 2 for an error that its user can cause, 1 for any other, 130 for Ctrl-C.
    """
    ending = SimpleNamespace(status=FAULT)
    try:
        with nullcontext() if verbose else quiet_console(), ending_data_workers():
            yield ending
        sys.stdout.flush()
    except BrokenPipeError:  # as of `| head`; Python would fail again when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print('stopped', file=sys.stderr)
        ending.status = INTERRUPTED
    except Exception as error:
        ending.status = USAGE if is_caused_by_user(error) else FAULT
        _report(error, ending.status, show_traceback)


def is_caused_by_user(error: Exception) -> bool:
    """Whether an error says what is wrong with files, settings or machine: by its type, or as it was raised on purpose,
    which what goes wrong inside of Python is not."""
    if isinstance(error, _CAUSED_BY_USERS):
        return True
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return linecache.getline(frame.filename, frame.lineno).strip().startswith('raise')


def sentence_of(error: Exception) -> str:
    """Its message on one line."""
    message = str(error.args[0] if isinstance(error, KeyError) and error.args else error)  # whose text is in quotes
    if _OF_WORKER in message:  # torch gives it the traceback for a message
        kinds = [*re.finditer(r'^[\w.]+: ', message.partition(_OF_WORKER)[2], re.M)]
        message = kinds[-1].string[kinds[-1].end():] if kinds else message
    return ' '.join(message.split()) or type(error).__name__


def _report(error: Exception, status: int, show_traceback: bool) -> None:
    text = ''.join(traceback.format_exception(error))
    log = file_log(text)
    if show_traceback:
        print(text, file=sys.stderr)
    sentence = sentence_of(error)
    if status == FAULT:
        where = f'see {log}' if log else '--traceback shows where'
        sentence = f'{type(error).__name__}: {sentence}; this should not happen, please report it ({where})'
    stage = f'stage {error.stage}: ' if hasattr(error, 'stage') else ''  # of commands that have several
    print(f'error: {stage}{sentence}', file=sys.stderr, flush=True)
