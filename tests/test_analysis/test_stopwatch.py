"""Every moment is booked once."""
import pytest

from mmseg_unsup.analysis import stopwatch as module
from mmseg_unsup.analysis.stopwatch import Seconds, Stopwatch


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when told to; CPU time runs at half its speed."""
    now = [0.]
    monkeypatch.setattr(Stopwatch, '_now', staticmethod(lambda: Seconds(now[0], now[0] / 2, now[0] / 4)))

    def advance(seconds):
        now[0] += seconds

    return advance


def test_innermost_phase_and_part_get_the_time(clock):
    watch = Stopwatch()
    clock(1)
    with watch.span(phase='train'):
        clock(2)
        with watch.span(part='forward'):
            clock(4)
            with watch.span(phase='label'):
                clock(8)
                with watch.span(part='forward'):
                    clock(16)
            clock(32)
        clock(64)
    clock(128)
    wall = {key: seconds.wall for key, seconds in watch.seconds.items()}
    rest = module.REST
    assert wall == {(rest, rest): 129, ('train', rest): 66, ('train', 'forward'): 36, ('label', rest): 8,
                    ('label', 'forward'): 16}
    assert watch.seconds['label', 'forward'].cpu == 8


def test_an_error_closes_what_it_leaves(clock):
    watch = Stopwatch()
    with pytest.raises(RuntimeError), watch.span(phase='train'), watch.span(part='forward'):
        clock(1)
        raise RuntimeError
    clock(2)
    assert watch.seconds[module.REST, module.REST].wall == 2


def test_watches_are_taken_off(clock):

    class Worker:

        def work(self, seconds):
            clock(seconds)
            return seconds

    watch, worker = Stopwatch(), Worker()
    original = Worker.work
    watch.watch(Worker, 'work', part='class')
    watch.watch(worker, 'work', phase='instance')
    assert worker.work(3) == 3
    assert watch.seconds['instance', 'class'].wall == 3
    watch.release()
    assert Worker.work is original and 'work' not in vars(worker)
    watch.reset()
    worker.work(5)
    assert {key: s.wall for key, s in watch.seconds.items()} == {(module.REST, module.REST): 5}
