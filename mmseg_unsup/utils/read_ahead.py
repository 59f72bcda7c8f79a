"""Work of a pool that is asked for before its result is needed, or finished after."""
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, Deque, Iterable, Iterator, TypeVar

Item, Result = TypeVar('Item'), TypeVar('Result')


def read_ahead(submit: Callable[[Item], 'Future[Result]'], items: Iterable[Item], ahead: int) -> Iterator[Result]:
    """The results of what a pool is asked for, in the order of the items, of which up to ``ahead`` are worked on or
    wait; an error comes in the place of its result. Ended early, it cancels what has not begun."""
    futures: Deque[Future] = deque()
    try:
        for item in items:
            futures.append(submit(item))
            if len(futures) > ahead:
                yield futures.popleft().result()
        while futures:
            yield futures.popleft().result()
    finally:
        for future in futures:
            future.cancel()


class WriteBehind:
    """Threads that finish what is handed to them, within a ``with`` block that ends when all is done.

    An error is raised by one of the next calls, or at the end of the block.
    """

    def __init__(self, threads: int) -> None:
        self._pool, self._futures, self._most = ThreadPoolExecutor(threads), deque(), 2 * threads

    def __enter__(self) -> 'WriteBehind':
        return self

    def __call__(self, function: Callable, *args) -> None:
        """Have a function called; waits where many calls are not finished."""
        self._futures.append(self._pool.submit(function, *args))
        while self._futures and (len(self._futures) > self._most or self._futures[0].done()):
            self._futures.popleft().result()

    def __exit__(self, kind, *exception) -> None:
        self._pool.shutdown()  # what was handed over is finished, however the block ends
        while self._futures and kind is None:
            self._futures.popleft().result()
