"""Images on their way to the network: decoded ahead of their turn, and grouped by their size."""
import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Iterable, Iterator, List, Optional, Sequence, Tuple

from ..datasets.errors import UnreadableImageError
from ..utils.read_ahead import read_ahead
from .image_input import Entry, Picture, pixels_ahead, shape_of

_WINDOW = 4  # pictures wait for others of their size, so many times as a batch has


class PictureBatches:
    """Decodes images by threads, and groups pictures of one size that are near each other.

    Args:
        read: decodes an image; of any thread.
        batch_of: (H, W) -> how many pictures of this size the network sees at a time.
        workers: number of threads.
        skip: is told which image is left out, and why; None to raise the UnreadableImageError of the first.
    """

    def __init__(self, read: Callable[[Entry], Picture], batch_of: Callable[[Sequence[int]], int], workers: int,
                 skip: Optional[Callable[[Entry, str], None]] = None) -> None:
        self.read, self.batch_of, self.workers, self.skip = read, batch_of, workers, skip
        self._limit = pixels_ahead()

    def __call__(self, entries: Iterable[Entry]) -> Iterator[List[Picture]]:
        """Groups of pictures of one size, with their numbers among those that could be decoded."""
        waiting: List[Picture] = []
        for picture in self._decoded(entries):
            waiting.append(picture)
            size = self.batch_of(picture.image.shape)
            alike = [other for other in waiting if other.image.shape == picture.image.shape]
            pixels = sum(other.image.size // 3 for other in waiting)
            if len(alike) < size and len(waiting) < _WINDOW * size and pixels <= self._limit:
                continue
            group = alike if len(alike) >= size else _like_first(waiting)
            waiting = _without(waiting, group)
            yield group
        while waiting:
            group = _like_first(waiting)
            waiting = _without(waiting, group)
            yield group

    def _decoded(self, entries: Iterable[Entry]) -> Iterator[Picture]:
        """Pictures with their numbers; those of many pixels are decoded when their turn comes."""
        ahead = 2 * self.workers + self.batch_of((1, 1))
        begin = functools.partial(self._begin, limit=self._limit // ahead)
        number = 0
        with ThreadPoolExecutor(self.workers) as pool:
            for entry, outcome in read_ahead(functools.partial(pool.submit, begin), entries, ahead):
                try:
                    picture = outcome()
                except UnreadableImageError as error:
                    if self.skip is None:
                        raise
                    self.skip(entry, error.fault)
                    continue
                yield picture._replace(number=number)
                number += 1

    def _begin(self, entry: Entry, limit: int) -> Tuple[Entry, Callable[[], Picture]]:
        """An input and what gives its picture or raises why there is none: at once, or of more pixels than ``limit``
        when it is called."""
        shape = shape_of(entry)
        if shape is None or shape[0] * shape[1] > limit:
            return entry, functools.partial(self.read, entry)
        try:
            picture = self.read(entry)
        except UnreadableImageError as error:
            return entry, functools.partial(_fail, error)
        return entry, lambda: picture


def _fail(error: Exception) -> None:
    raise error


def _like_first(pictures: List[Picture]) -> List[Picture]:
    return [picture for picture in pictures if picture.image.shape == pictures[0].image.shape]


def _without(pictures: List[Picture], group: List[Picture]) -> List[Picture]:
    numbers = {picture.number for picture in group}
    return [picture for picture in pictures if picture.number not in numbers]
