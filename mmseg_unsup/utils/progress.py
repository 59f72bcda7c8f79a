"""One progress display for every long pass: a bar in a terminal, a log line now and then elsewhere."""
import sys
import time
from contextlib import contextmanager

from mmengine.dist import is_main_process
from mmengine.logging import print_log
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LOG_EVERY_SECONDS = 30.


@contextmanager
def track_progress(description: str, total: int, unit: str = 'img'):
    """Yield ``advance(n, note='')``, to be called after ``n`` more of ``total`` items are done.

    On a terminal a bar shows items done, rate, time left and the note. Elsewhere (a log file, a cluster) a line every
    ``LOG_EVERY_SECONDS`` says the same. Ranks other than the first show nothing.
    """
    if not is_main_process():
        yield lambda n, note='': None
    elif sys.stderr.isatty():
        with _bar(description, total, unit) as advance:
            yield advance
    else:
        yield _log_lines(description, total, unit)


@contextmanager
def _bar(description: str, total: int, unit: str):
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TextColumn('{task.fields[rate]}'),
               TimeElapsedColumn(), TextColumn('left'), TimeRemainingColumn(), TextColumn('{task.fields[note]}'))
    start = time.time()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(description, total=total, rate='', note='')

        def advance(n: int, note: str = '') -> None:
            done = min(progress.tasks[0].completed + n, total)  # a distributed sampler repeats a few images
            rate = done / max(time.time() - start, 1e-9)
            progress.update(task, completed=done, rate=f'{rate:.1f} {unit}/s', note=note)

        yield advance


def _log_lines(description: str, total: int, unit: str):
    start = last = time.time()
    done = 0

    def advance(n: int, note: str = '') -> None:
        nonlocal last, done
        done += n
        now = time.time()
        if now - last >= LOG_EVERY_SECONDS and done < total:
            last = now
            rate = done / (now - start)
            print_log(
                f'{description}: {done}/{total} {unit}, {rate:.1f} {unit}/s, '
                f'{(total - done) / rate:.0f} s left {note}'.rstrip(), logger='current')

    return advance
