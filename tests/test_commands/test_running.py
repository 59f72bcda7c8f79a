"""What is around every command: whose fault an error is, its sentence, its traceback, the status."""
import errno
import os
import signal
import subprocess
import sys
import time
import warnings

import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from torch.utils.data import DataLoader, Dataset

from mmseg_unsup.commands import main, table
from mmseg_unsup.commands import running as around
from mmseg_unsup.commands import test as command
from mmseg_unsup.commands.errors import sentence_of
from mmseg_unsup.commands.running import running
from mmseg_unsup.utils.preemption import EXIT_CODE
from mmseg_unsup.utils.console import say
from ..conftest import ROOT


@pytest.fixture(autouse=True)
def no_log():
    """As at the start of a process."""
    for kind in (MMLogger, MessageHub):
        kind._instance_dict.clear()


def run(error, *options, capsys):
    """Status and stderr of a command that raises an error, or calls a function that does."""

    def fail(args):
        if callable(error) and not isinstance(error, type):
            error()
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, 'run', fail)
        status = main(['test', 'a', 'b', *options])
    return status, capsys.readouterr().err


def no_memory():
    raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7 GiB.')


def no_memory_of_machine():
    raise RuntimeError("[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you "
                       'tried to allocate 9000000000000 bytes. Error code 12 (Cannot allocate memory)')


def lost_worker():
    try:
        raise RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed. ')
    except RuntimeError as error:
        raise RuntimeError('DataLoader worker (pid(s) 7) exited unexpectedly') from error


def chained():
    try:
        raise KeyError('palette')
    except KeyError as error:
        raise ValueError('the data set cannot be used') from error


def of_system(number, path):

    def fail():
        raise OSError(number, os.strerror(number), path)

    return fail


def several_lines():
    raise ValueError('first line\n  second line\n\nlast')


def key_with_quotes():
    raise KeyError("the shortcut 'a' is not there")


def of_mmengine():
    from mmseg.registry import MODELS
    MODELS.build(dict(type='ResNet', dept=3))


def unknown_type():
    from mmseg.registry import MODELS
    MODELS.build(dict(type='ResNt'))


@pytest.mark.parametrize('error, words', [
    (ValueError('n must be 3'), 'error: n must be 3\n'),
    (NotImplementedError('not with masks'), 'error: not with masks\n'),
    (several_lines, 'error: first line second line last\n'),
    (key_with_quotes, "error: the shortcut 'a' is not there\n"),
    (chained, 'error: the data set cannot be used (palette)\n'),
    (MemoryError(), 'the memory of this machine is full: take a smaller batch_size'),
    (no_memory, 'the memory of the GPU is full: take a smaller train_dataloader.batch_size, or mixed precision '
     '(--amp); torch says: CUDA out of memory\n'),
    (no_memory_of_machine, 'the memory of this machine is full: take a smaller train_dataloader.batch_size'),
    (lost_worker, 'exited unexpectedly: a process that reads data was ended from outside | take fewer num_workers | '
     'killed by signal: Killed'),
    (of_system(errno.ENOENT, 'a/b'), f'error: a/b: {os.strerror(errno.ENOENT)}: check the path\n'),
    (of_system(errno.ENOSPC, 'a/b'),
     f'error: a/b: {os.strerror(errno.ENOSPC)}: free space there, or write elsewhere\n'),
    (of_system(errno.EACCES, 'a/b'), 'change its permissions, or take another place\n'),
    (of_system(errno.EROFS, b'a/b'), 'error: a/b: '),
    (OSError(errno.EMFILE, 'Too many open files'), 'error: Too many open files: raise the limit (ulimit -n)'),
    (OSError('no reason'), 'error: no reason\n'),
    (ModuleNotFoundError("No module named 'onnx_of_dreams'", name='onnx_of_dreams.x'),
     'install the package onnx_of_dreams'),
    (ValueError(), 'error: ValueError\n'),
    (ValueError('x' * 2000), f'error: {"x" * 596} ...\n'),
    (of_mmengine, "unexpected keyword argument 'dept'"),
    (unknown_type, 'ResNt is not in the mmseg::model registry\n'),
])
def test_errors_of_users(error, words, capsys):
    status, text = run(error, capsys=capsys)
    assert status == 2 and text.count('\n') == 1 and text.startswith('error: ')
    assert not [word for word in words.split(' | ') if word not in text], text


def divide():
    return 1 / 0


def look_up():
    return {}['model']


def lacking_module_of_ours():
    import mmseg_unsup.no_such_part  # noqa: F401


@pytest.mark.parametrize('error, words', [
    (divide, 'ZeroDivisionError: division by zero'), (look_up, 'KeyError: model'),
    (lacking_module_of_ours, "No module named 'mmseg_unsup.no_such_part'"),
])
def test_faults(error, words, capsys):
    status, text = run(error, capsys=capsys)
    assert status == 1 and text.count('\n') == 1 and text.startswith('error: ') and words in text
    assert text.endswith('; this should not happen, please report it (--traceback shows where)\n')


def test_the_traceback(capsys, tmp_path):
    """In the log of the run, and printed if asked for."""

    def fail_with_log():
        MMLogger.get_instance('run', log_file=f'{tmp_path}/run.log')
        divide()

    status, text = run(fail_with_log, capsys=capsys)
    assert status == 1 and f'please report it (see {tmp_path}/run.log)' in text and 'Traceback' not in text
    logged = (tmp_path / 'run.log').read_text()
    assert 'Traceback (most recent call last)' in logged and 'return 1 / 0' in logged
    status, text = run(divide, '--traceback', capsys=capsys)
    assert status == 1 and 'return 1 / 0' in text and text.splitlines()[-1].startswith('error: ZeroDivisionError')
    assert (tmp_path / 'run.log').read_text() == logged  # of the former run of this process


class Images(Dataset):
    """The second one fails."""

    def __init__(self, error) -> None:
        self.error = error

    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> int:
        if i == 1 and self.error is None:
            return {}['size']
        if i == 1:
            raise self.error
        return i


@pytest.mark.parametrize('error, status, words', [
    (ValueError('cannot use the image a.jpg: it is cut off.\nReplace it'), 2,
     'error: cannot use the image a.jpg: it is cut off. Replace it\n'),
    (KeyError('no key of this name'), 2, 'no key of this name'),
    (None, 1, 'KeyError: '),
])
def test_errors_of_data_workers(error, status, words, capsys):
    found, text = run(lambda: list(DataLoader(Images(error), num_workers=1)), capsys=capsys)
    assert found == status and words in text and 'Original' not in text and 'File' not in text and text.count('\n') == 1


def test_other_endings(capsys):
    assert run(KeyboardInterrupt(), capsys=capsys) == (130, 'stopped\n')
    with pytest.raises(SystemExit) as ended:
        run(SystemExit(EXIT_CODE), capsys=capsys)
    assert ended.value.code == EXIT_CODE and capsys.readouterr().err == ''
    status, text = run(BrokenPipeError(errno.EPIPE, 'Broken pipe'), capsys=capsys)  # of something else than the output
    assert status == 2 and text.startswith('error: Broken pipe')


def test_nobody_reads_the_output():
    code = ('from mmseg_unsup.commands import main, test\n'
            'test.run = lambda args: [print("x" * 1000) for _ in range(1000)] and None\n'
            'import sys; sys.exit(main(["test", "a", "b"]))')
    with subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as it:
        it.stdout.read(10)
        it.stdout.close()
        assert it.stderr.read() == b'' and it.wait() == 128 + signal.SIGPIPE


def test_ranks_say_who_they_are(capsys, monkeypatch):
    waited = []
    monkeypatch.setattr(time, 'sleep', waited.append)
    for rank, number, prefix in ((3, 4, 'rank 3: '), (0, 4, ''), (1, 1, '')):
        monkeypatch.setenv('RANK', str(rank))
        monkeypatch.setenv('WORLD_SIZE', str(number))
        assert run(ValueError('no'), capsys=capsys) == (2, f'error: {prefix}no\n')
    assert waited == [around._WAIT_FOR_FIRST_RANK]  # the first rank has said it by then, and this one is ended
    monkeypatch.delenv('WORLD_SIZE')
    monkeypatch.setenv('SLURM_PROCID', '2')
    monkeypatch.setenv('SLURM_NTASKS', '4')
    assert run(ValueError('no'), capsys=capsys) == (2, 'error: rank 2: no\n')


def test_the_console_is_as_before(capsys, tmp_path):
    logger = MMLogger.get_instance('run', log_file=f'{tmp_path}/run.log')
    shown = warnings.showwarning
    for error in (None, ValueError('no')):
        with running(False, False) as ending:
            assert warnings.showwarning is not shown
            warnings.showwarning('of another package', UserWarning, '/lib/other/x.py', 1)
            warnings.showwarning('of this one', UserWarning, '/lib/mmseg_unsup/x.py', 1)
            logger.info('a detail')
            say('what a person needs')
            if error:
                raise error
            ending.status = 0
        assert warnings.showwarning is shown
        assert capsys.readouterr().out.splitlines() == ['warning: of this one', 'what a person needs']
    logger.info('afterwards')
    assert 'afterwards' in capsys.readouterr().out
    logged = (tmp_path / 'run.log').read_text()
    assert all(text in logged for text in ('of another package', 'of this one', 'a detail', 'what a person needs'))


def test_verbose_prints_all(capsys, monkeypatch):
    def speak(args):
        MMLogger.get_instance('loud').info('a detail')

    monkeypatch.setattr(command, 'run', speak)
    assert main(['test', 'a', 'b', '--verbose']) == 0
    assert 'a detail' in ''.join(capsys.readouterr())


def test_a_sentence_does_nothing_to_the_terminal():
    assert sentence_of(ValueError('what \x1b[2Jthey\x00 call\x9b it\n')) == 'what \\x1b[2Jthey\\x00 call\\x9b it'


def test_a_sentence_of_what_has_none():
    assert sentence_of(ValueError()) == 'ValueError' and sentence_of(KeyError()) == 'KeyError'
    assert table.PROG in table.make_parser('train').prog
