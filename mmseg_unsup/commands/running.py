"""What every command has around it: a quiet console, errors of one sentence, an exit status."""
import errno
import linecache
import os
import re
import select
import sys
import time
import traceback
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Iterator, Tuple

from ..utils.console import file_log, log_files, quiet_console
from ..utils.data_workers import ending_data_workers
from ..utils.paths import printable

USAGE, FAULT, INTERRUPTED, CLOSED_PIPE = 2, 1, 130, 141
_CAUSED_BY_USERS = (ValueError, OSError, ImportError, MemoryError, NotImplementedError)
# how torch tells the error of a data worker: by a text with its traceback
_OF_WORKER = re.compile(r'Caught (\w+) in .*?(?:process|thread)[^\n]*\n.*?Traceback', re.DOTALL)
_LOST_WORKER = re.compile(r'DataLoader worker \(pid.*?(?:exited unexpectedly|killed by signal)')
_OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|Cannot allocate memory")
# of mmengine's messages
_BOILERPLATE = re.compile(r'\. Please check whether the value of .*|\. More details can be found at .*')
_REMEDIES = {
    errno.ENOENT: 'check the path',
    errno.ENOSPC: 'free space there, or write elsewhere',
    errno.EDQUOT: 'free space there, or write elsewhere',
    errno.EFBIG: 'free space there, or write elsewhere',
    errno.EACCES: 'change its permissions, or take another place',
    errno.EPERM: 'change its permissions, or take another place',
    errno.EROFS: 'take a place that can be written to',
    errno.EEXIST: 'a folder is needed, and a file is in its place: move it, or take another place',
    errno.ENOTDIR: 'a folder is needed, and a file is in its place: move it, or take another place',
    errno.EMFILE: 'raise the limit (ulimit -n), or take fewer num_workers',
}
_MAX_CHARS = 600
# seconds: what started the processes ends the others as soon as the first one has said the same
_WAIT_FOR_FIRST_RANK = 10


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


def is_caused_by_user(error: Exception) -> bool:
    """Whether an error says what is wrong with files, settings or machine: by its type, or as it was raised on purpose,
    which what goes wrong inside of Python is not."""
    text = str(error)
    if isinstance(error, ModuleNotFoundError) and error.name:  # a package that is not there; of one that is, a fault
        return find_spec(error.name.partition('.')[0]) is None
    if isinstance(error, _CAUSED_BY_USERS):
        return True
    if isinstance(error, RuntimeError) and (_OUT_OF_MEMORY.search(text) or _LOST_WORKER.search(text)):
        return True
    file, line = _origin(error, text)
    if isinstance(error, TypeError) and file.endswith('build_functions.py'):  # arguments in a config
        return True
    return line.startswith('raise') or line.startswith('assert') and bool(text) and 'mmengine' in file


def _origin(error: Exception, text: str) -> Tuple[str, str]:
    """File and line of code that an error comes from."""
    if _OF_WORKER.match(text):  # it is raised anew, in its type
        lines = text[:text.rfind('\n', 0, len(text.rstrip()))].splitlines()
        last = max((i for i, line in enumerate(lines[:-1]) if line.startswith('  File "')), default=None)
        return ('', '') if last is None else (lines[last].split('"')[1], lines[last + 1].strip())
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return '', ''
    return frames[-1].filename, linecache.getline(frames[-1].filename, frames[-1].lineno).strip()


def sentence_of(error: BaseException) -> str:
    """What an error says, on one line: the cause, and what to do about it where the error is of Python or torch."""
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)  # the text of which is in quotes
    of_worker = _OF_WORKER.match(text)
    if of_worker:
        text = text[text.rfind(of_worker[1]):].partition(':')[2]
    sentence = _advised(error, ' '.join(_BOILERPLATE.sub('', text).split())) or type(error).__name__
    if error.__cause__ is not None:
        cause = sentence_of(error.__cause__)
        sentence += f' ({cause})' if cause not in sentence else ''
    return sentence if len(sentence) <= _MAX_CHARS else f'{sentence[:_MAX_CHARS - 4]} ...'


def _advised(error: BaseException, text: str) -> str:
    if isinstance(error, OSError) and error.strerror:
        place = printable(os.fsdecode(error.filename)) if isinstance(error.filename, (str, bytes)) else ''
        remedy = _REMEDIES.get(error.errno)
        return ': '.join(filter(None, (place, error.strerror, remedy)))
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f'{text}: install the package {error.name.partition(".")[0]}' if text.startswith('No module') else text
    if isinstance(error, MemoryError):
        return f'{text or "the memory of this machine is full"}: take a smaller batch_size or fewer num_workers'
    if isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(text):
        place = 'the GPU' if 'CUDA' in text or 'GPU' in text else 'this machine'
        return (f'the memory of {place} is full: take a smaller train_dataloader.batch_size, or mixed precision (--amp); '
                f'torch says: {re.split(r"[.;] ", text)[0]}')
    if isinstance(error, RuntimeError) and _LOST_WORKER.search(text):
        return (f'{text.rstrip(".")}: a process that reads data was ended from outside, mostly as the memory is full: take '
                'fewer num_workers or a smaller batch_size')
    return text


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
    stage = f'stage {error.stage}: ' if hasattr(error, 'stage') else ''  # of commands that have several
    print(f'error: {stage}{sentence}', file=sys.stderr, flush=True)


def _rank() -> int:
    """Of this process among those that were started together."""
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
