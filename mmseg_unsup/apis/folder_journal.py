"""What was made of the images of a folder so far, as lines of JSON: work that was stopped goes on, and processes share
it."""
import json
import os
import os.path as osp
import threading
from array import array
from contextlib import contextmanager, nullcontext
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..utils.config_keys import flatten_config
from ..utils.console import counted, say
from ..utils.distributed import check_ranks_agree
from ..utils.locks import take_lock
from ..utils.paths import printable
from ..utils.preemption import EXIT_CODE, Preempted, listening
from ..utils.shards import WHOLE, Shard
from .image_names import ImageNames
from .journal_files import HEAD, PART, PROGRESS, SUFFIX, Line, has_lines, mend, parse, parts_of, read_lines, texts_of

_OFFSET_BITS = 40  # of the place of a line; the bits above count the parts


class Totals(NamedTuple):
    """How far all shards have come, in images."""
    n_found: int
    n_faults: int
    n_missing: int  # that no shard has looked at yet


class Journal:
    """The lines of a shard, ``progress/R-of-W.jsonl`` among the results; a call appends to those of former ones.

    A part begins with a head, and so does what each further call appends: the settings, and number and digest of the
    names that the call has seen. A line is written when the files of its image are, so whatever ends the process costs
    the images that were in work; a line that is cut, and files of other sizes than it records, count as not made.

    Args:
        out: folder of the results.
        names: of all images.
        settings: plain values that results depend on: those of all parts are equal.
        files_of: name -> paths of what is written for an image.
        shard: which of the images are made here; what another process has made, of any shards, is not made again.
        replace: drop results of other settings, instead of raising an error; for one process.

    Attributes:
        n_made: number of images of the shard that were there before.

    Raises:
        ValueError: results of other settings are there; another process makes this shard; a part is none.
    """

    def __init__(self, out: str, names: ImageNames, settings: Dict[str, Any],
                 files_of: Callable[[str], Sequence[str]], shard: Shard = WHOLE, replace: bool = False) -> None:
        self.folder, self.names, self.shard, self._files_of = osp.join(out, PROGRESS), names, shard, files_of
        self.path = osp.join(self.folder, f'{shard.index}-of-{shard.count}{SUFFIX}')
        self._head = dict(settings=json.loads(json.dumps(settings, default=str)), n_images=len(names),
                          listing=names.digest)
        os.makedirs(self.folder, exist_ok=True)
        if replace:
            self._drop_others()
        self._writing = threading.Lock()
        self._open()
        self._done = bytearray(len(names))
        for _, line in self._lines():
            i = self._index(line)
            if i is not None and i % shard.count == shard.index and not line.fault:
                self._done[i] = self._is_whole(line)
        self.n_made = sum(self._done)

    def __enter__(self) -> 'Journal':
        return self

    def __exit__(self, *exception) -> None:
        self._file.close()
        if not has_lines(self.path):  # nothing was made, and other settings may take its place
            os.remove(self.path)
        self._lock.close()

    @property
    def n_calls(self) -> int:
        """Number of calls so far, of all shards; each wrote a head."""
        return sum(text.startswith(HEAD) for path in parts_of(self.folder) for text in texts_of(path))

    @property
    def n_own(self) -> int:
        """Number of images of the shard."""
        return len(range(self.shard.index, len(self.names), self.shard.count))

    def todo(self) -> Iterator[int]:
        """Numbers of the images of the shard that are to be made."""
        return (i for i in range(self.shard.index, len(self.names), self.shard.count) if not self._done[i])

    def has(self, name: str) -> bool:
        """Whether the files of an image are there; of the shard."""
        i = self.names.find(name)
        return i is not None and bool(self._done[i])

    def add(self, name: str, found: Any, confidence: Optional[float] = None) -> None:
        """Record what was found in an image whose files are written; any thread may call it."""
        said = {} if confidence is None else dict(confidence=confidence)
        self._append(image=name, found=found, sizes=[os.path.getsize(path) for path in self._files_of(name)], **said)

    def add_fault(self, name: str, fault: str) -> None:
        """Record why an image cannot be used; the next call tries it again."""
        self._append(image=name, fault=fault)

    def tell_made(self) -> None:
        """Say how much is left of what was stopped."""
        if self.n_made:
            of_shard = f' of shard {self.shard}' if self.shard != WHOLE else ''
            say(f'{self.n_made} of {counted(self.n_own, "image")}{of_shard} were made before')

    def collect(self) -> 'Collected':
        """The lines of all shards. Collective in no way: they are what is in the files at this moment.

        Raises:
            ValueError: every image has its line, but the shards have seen other files than this one.
        """
        found = Collected(self.names)
        for part, path in enumerate(found.paths_of(self.folder)):
            for offset, line in read_lines(path):
                found.place(self._index(line), part, offset, line.fault == '')
        if not found.n_missing:
            self._check_listings()
        return found

    def _open(self) -> None:
        """Own the part, mend its end, and begin what this call appends."""
        # a file of its own: a POSIX lock goes when its file is closed, be it by a reader in the same process
        self._lock = open(f'{self.path[:-len(SUFFIX)]}.lock', 'wb')
        if not take_lock(self._lock.fileno(), self._lock.name):
            self._lock.close()
            raise ValueError(f'another process is at work on shard {self.shard} of {printable(self.folder)}: wait for '
                             'its end, or give every process a shard of its own (--shard)')
        self._file = open(self.path, 'ab+', buffering=0)
        mend(self._file, self.path)
        try:
            self._check_settings()
            self._append(**self._head)
            self._check_settings()  # again: of two processes that begin at once, one at least sees the other's head
        except ValueError:
            self.__exit__()
            raise

    def _append(self, **values) -> None:
        with self._writing:
            self._file.write((json.dumps(values) + '\n').encode())

    def _heads(self) -> Iterator[Tuple[str, dict]]:
        """Path and last head of every part."""
        for path in parts_of(self.folder):
            head, has_lines = None, False
            for text in texts_of(path):
                has_lines |= text.endswith(b'\n')  # without an end, its process is writing it or was stopped there
                if text.startswith(HEAD):
                    head = parse(text) or head
            if head is None and has_lines:
                raise ValueError(f'{printable(path)} is no record of what was made: remove that file')
            if head is not None:
                yield path, head

    def _check_settings(self) -> None:
        for path, head in self._heads():
            check_settings(head['settings'], self._head['settings'], path)

    def _check_listings(self) -> None:
        for path, head in self._heads():
            if int(PART.fullmatch(osp.basename(path))[2]) == self.shard.count and head['listing'] != self.listing:
                raise ValueError(f'the shards have seen different files: {head["n_images"]} images in '
                                 f'{printable(path)}, {len(self.names)} here (by the digest of their names): give the '
                                 'commands of all shards again where they see the same folder')

    @property
    def listing(self) -> str:
        """Digest of the names."""
        return self._head['listing']

    def _drop_others(self) -> None:
        try:
            self._check_settings()
        except ValueError:
            for path in parts_of(self.folder):
                os.remove(path)

    def _lines(self) -> Iterator[Tuple[int, Line]]:
        for path in parts_of(self.folder):
            yield from read_lines(path)

    def _index(self, line: Line) -> Optional[int]:
        return self.names.find(line.image)

    def _is_whole(self, line: Line) -> bool:
        """Whether files of the sizes that a line records are there."""
        try:
            return [os.path.getsize(path) for path in self._files_of(line.image)] == list(line.sizes)
        except OSError:
            return False


class Collected:
    """The lines of all shards, in the order of the images; in memory are their places alone.

    Attributes:
        n_missing: images without a line.
    """

    def __init__(self, names: ImageNames) -> None:
        self.names, self.n_missing = names, len(names)
        self._places, self._is_found = array('q', [-1]) * len(names), bytearray(len(names))
        self._paths: List[str] = []

    @property
    def totals(self) -> Totals:
        n_found = sum(self._is_found)
        return Totals(n_found, len(self.names) - self.n_missing - n_found, self.n_missing)

    def paths_of(self, folder: str) -> List[str]:
        """The parts whose lines are placed."""
        self._paths = parts_of(folder)
        return self._paths

    def place(self, i: Optional[int], part: int, offset: int, is_found: bool) -> None:
        """Remember where the line of an image stands; a result counts more than a fault."""
        if i is None or self._is_found[i] and not is_found:
            return
        self.n_missing -= self._places[i] < 0
        self._places[i], self._is_found[i] = part << _OFFSET_BITS | offset, is_found

    def __iter__(self) -> Iterator[Line]:
        files = [open(path, 'rb') for path in self._paths]
        try:
            for place in self._places:
                if place >= 0:
                    file = files[place >> _OFFSET_BITS]
                    file.seek(place & (1 << _OFFSET_BITS) - 1)
                    yield Line(**json.loads(file.readline()))
        finally:
            for file in files:
                file.close()


@contextmanager
def stopping(said: str = 'stopped; the same command goes on from here') -> Iterator[None]:
    """A block of work that ends at its next safe point, with status 75, on SIGTERM or SIGUSR1; see
    :mod:`mmseg_unsup.utils.preemption`. A second signal ends it at once.

    Args:
        said: when it has ended so.
    """
    is_main = threading.current_thread() is threading.main_thread()
    with listening() if is_main else nullcontext():
        try:
            yield
        except Preempted:
            say(said)
            raise SystemExit(EXIT_CODE) from None


def check_same_work(names: ImageNames, settings: dict) -> None:
    """Raise ValueError where processes that were started together have other settings or images. Collective."""
    check_ranks_agree(dict(settings, images=(len(names), names.digest)), 'start all processes with the same command, '
                      'and let them see the same files')


def check_settings(old: dict, new: dict, path: str) -> None:
    """Raise ValueError if a setting differs from that of the results which are there."""
    old, new = (dict(flatten_config({key: of.get(key) for key in new})) for of in (old, new))
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            raise ValueError(f'{printable(path)} records results with {key}={old.get(key)!r}, but this call has '
                             f'{new.get(key)!r}: use another folder for the results, or remove that one')
