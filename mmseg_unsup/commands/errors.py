"""Errors as a person reads them: whose they are, and what they say in one sentence."""
import errno
import linecache
import os
import re
import traceback
from importlib.util import find_spec
from typing import Tuple

from ..utils.paths import printable

_CAUSED_BY_USERS = (ValueError, OSError, ImportError, MemoryError, NotImplementedError)
# how torch tells the error of a data worker: by a text with its traceback
_OF_WORKER = re.compile(r'Caught (\w+) in .*?(?:process|thread)[^\n]*\n.*?Traceback', re.DOTALL)
_LOST_WORKER = re.compile(r'DataLoader worker \(pid.*?(?:exited unexpectedly|killed by signal)')
_OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|Cannot allocate memory")
_OF_OPENCV = re.compile(r'\(-4:Insufficient memory\)')  # its error has no type of its own for this
# of mmengine's messages
_BOILERPLATE = re.compile(r'\. Please check whether the value of .*|\. More details can be found at .*| in <[\w.]+ '
                          r'object at 0x[0-9a-f]+>$')
_REMEDIES = {
    'check the path': (errno.ENOENT, ),
    'free space there, or write elsewhere': (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    'change its permissions, or take another place': (errno.EACCES, errno.EPERM),
    'take a place that can be written to': (errno.EROFS, ),
    'a folder is needed, and a file is in its place: move it, or take another place': (errno.EEXIST, errno.ENOTDIR),
    'raise the limit (ulimit -n), or take fewer num_workers': (errno.EMFILE, ),
    'a file is needed, and a folder is in its place: name another one': (errno.EISDIR, ),
}
_MAX_CHARS = 600
_CONTROL = re.compile(r'[\x00-\x1f\x7f-\x9f]')  # in names of strangers they could do anything to a terminal


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
    if _OF_OPENCV.search(text):
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
    sentence = _CONTROL.sub(lambda found: f'\\x{ord(found[0]):02x}', sentence)
    return sentence if len(sentence) <= _MAX_CHARS else f'{sentence[:_MAX_CHARS - 4]} ...'


def _advised(error: BaseException, text: str) -> str:
    if isinstance(error, OSError) and error.strerror:
        place = printable(os.fsdecode(error.filename)) if isinstance(error.filename, (str, bytes)) else ''
        remedy = next((remedy for remedy, numbers in _REMEDIES.items() if error.errno in numbers), None)
        return ': '.join(filter(None, (place, error.strerror, remedy)))
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f'{text}: install the package {error.name.partition(".")[0]}' if text.startswith('No module') else text
    if isinstance(error, MemoryError):
        return f'{text or "the memory of this machine is full"}: take a smaller batch_size or fewer num_workers'
    if isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(text):
        place = 'the GPU' if 'CUDA' in text or 'GPU' in text else 'this machine'
        return (f'the memory of {place} is full: take a smaller train_dataloader.batch_size, or mixed precision '
                f'(--amp); torch says: {re.split(r"[.;] ", text)[0]}')
    if _OF_OPENCV.search(text):
        return f'the memory of this machine is too small for an image that is so large: take a smaller size ({text})'
    if isinstance(error, RuntimeError) and _LOST_WORKER.search(text):
        return (f'{text.rstrip(".")}: a process that reads data was ended from outside, mostly as the memory is full: '
                'take fewer num_workers or a smaller batch_size')
    return text
