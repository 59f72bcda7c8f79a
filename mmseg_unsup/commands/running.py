"""What every command has around it: a quiet console, errors of one sentence, an exit status."""
import os
import select
import sys
import time
import traceback
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Iterator

from ..utils.console import file_log, log_files, quiet_console
from ..utils.data_workers import ending_data_workers
from .errors import is_caused_by_user, sentence_of

USAGE, FAULT, INTERRUPTED, CLOSED_PIPE = 2, 1, 130, 141
# seconds: what started the processes ends the others as soon as the first one has said the same
_WAIT_FOR_FIRST_RANK = 5


@contextmanager
def running(verbose: bool, show_traceback: bool) -> Iterator[SimpleNamespace]:
    """Run a command in the block; an error is one sentence on stderr, and its traceback is in the log if there is one.

    Args:
        verbose: print what the log has.
        show_traceback: print the traceback.

    Yields:
        what has the exit ``status`` afterwards: 2 for an error that its user can cause, 1 for any other, 130 for
        Ctrl-C, 141 where nobody reads the output any more.

    Raises:
        SystemExit: of a run that was told to stop, with its status.
    """
    ending = SimpleNamespace(status=FAULT)
    former_logs = log_files()
    try:
        with nullcontext() if verbose else quiet_console(), ending_data_workers():
            yield ending
        sys.stdout.flush()
    except KeyboardInterrupt:
        print('stopped', file=sys.stderr)
        ending.status = INTERRUPTED
    except Exception as error:
        if isinstance(error, BrokenPipeError) and not _is_read():
            ending.status = CLOSED_PIPE
            return
        ending.status = USAGE if is_caused_by_user(error) else FAULT
        _report(error, ending.status, show_traceback, former_logs)


def _report(error: Exception, status: int, show_traceback: bool, former_logs: list) -> None:
    text = ''.join(traceback.format_exception(error))
    log = file_log(text, former_logs)
    sentence = sentence_of(error)
    if status == FAULT:
        where = f'see {log}' if log else '--traceback shows where'
        sentence = f'{type(error).__name__}: {sentence}; this should not happen, please report it ({where})'
    if hasattr(error, 'stage'):  # of commands that have several
        sentence = f'stage {error.stage}: {sentence}'
    rank = _rank()
    if rank:
        time.sleep(_WAIT_FOR_FIRST_RANK)
        sentence = f'rank {rank}: {sentence}'
    if show_traceback:
        print(text, file=sys.stderr)
    print(f'error: {sentence}', file=sys.stderr, flush=True)


def _rank() -> int:
    """The rank of this process among those that were started together."""
    for rank, number in (('RANK', 'WORLD_SIZE'), ('SLURM_PROCID', 'SLURM_NTASKS'),
                         ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE')):
        if _number(number) > 1:
            return _number(rank)
    return 0


def _number(name: str) -> int:
    text = os.environ.get(name, '')
    return int(text) if text.isdecimal() else 0


def _is_read() -> bool:
    """Whether somebody reads the standard output; if not, as of ``| head``, it goes nowhere from now on, as Python
    would fail again when it flushes at exit."""
    try:
        descriptor = sys.stdout.fileno()
    except OSError:  # it is no file
        return True
    if hasattr(select, 'poll'):
        asked = select.poll()
        asked.register(descriptor, 0)
        if not any(events & select.POLLERR for _, events in asked.poll(0)):
            return True
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    return False
