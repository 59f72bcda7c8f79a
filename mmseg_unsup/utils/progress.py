"""One progress display for every long pass: a bar in a terminal, a line now and then elsewhere."""
import os
import sys
import time
from contextlib import contextmanager

from mmengine.dist import is_main_process
from mmengine.logging import print_log
from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task
from rich.text import Text

from .console import log_files, say

LOG_EVERY_SECONDS = 30.
_MIN_BAR, _MAX_BAR = 8, 30


@contextmanager
def track_progress(description: str, total: int, unit: str = 'img'):
    """Yield ``advance(n, note='')``, to be called after ``n`` more of ``total`` items are done.

    On a terminal a bar shows items done, rate, time left and the note. Elsewhere (a file, a cluster) a line every
    ``LOG_EVERY_SECONDS`` says the same: in the log file of the run, or to the person where there is none. Ranks other
    than the first show nothing.
    """
    if not is_main_process():
        yield lambda n, note='': None
    elif sys.stderr.isatty() and os.environ.get('TERM', '') not in ('dumb', 'unknown'):
        with _bar(description, total, unit) as advance:
            yield advance
    else:
        yield _log_lines(description, total, unit)


@contextmanager
def _bar(description: str, total: int, unit: str):
    console = Console(stderr=True)
    start = time.time()
    # what is printed meanwhile goes above the bar, unless it goes to a file
    with Progress(_OneLine(console), console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as progress:
        task = progress.add_task(description, total=total, rate='', note='')

        def advance(n: int, note: str = '') -> None:
            done = min(progress.tasks[0].completed + n, total)  # a distributed sampler repeats a few images
            rate = done / max(time.time() - start, 1e-9)
            progress.update(task, completed=done, rate=f'{rate:.1f} {unit}/s', note=note)

        yield advance


class _OneLine(ProgressColumn):
    """All of the display, as much of it as the terminal is wide."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console

    def render(self, task: Task) -> Text:
        left = task.time_remaining
        parts = [f'{task.description}', f'{int(task.completed)}/{int(task.total)}']
        more = ['-:-- left' if left is None else f'{int(left) // 60}:{int(left) % 60:02} left', task.fields['rate'],
                task.fields['note']]
        width = self.console.width - 1  # in the last column some terminals wrap
        for part in filter(None, more):
            if len('  '.join([*parts, part])) <= width:
                parts.append(part)
        n_bar = min(_MAX_BAR, width - len('  '.join(parts)) - 2)
        line = Text('  '.join(parts), no_wrap=True, overflow='crop', end='')
        if n_bar >= _MIN_BAR:
            n_done = round(n_bar * task.completed / max(task.total, 1))
            full = '━' if (self.console.encoding or '').startswith('utf') else '='
            line = Text.assemble(parts[0], '  ', (full * n_done, 'bar.complete'), ' ' * (n_bar - n_done), '  ',
                                 '  '.join(parts[1:]), no_wrap=True, overflow='crop', end='')
        line.truncate(max(width, 1))
        return line


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
            line = (f'{description}: {done}/{total} {unit}, {rate:.1f} {unit}/s, '
                    f'{(total - done) / rate:.0f} s left {note}').rstrip()
            if log_files():
                print_log(line, logger='current')
            else:
                say(line)

    return advance
