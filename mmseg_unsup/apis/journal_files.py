"""Files of what was made of images, a line of JSON each; what a process was stopped in costs its last line alone."""
import json
import logging
import os
import os.path as osp
import re
from typing import Any, BinaryIO, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..utils.console import say
from ..utils.paths import printable

PROGRESS = 'progress'  # a folder among the results
SUFFIX = '.jsonl'
PART = re.compile(r'(\d+)-of-(\d+)\.jsonl')
HEAD = b'{"settings"'  # how its line begins


class Line(NamedTuple):
    """What is known of an image.

    Attributes:
        image: its name.
        found: a plain value; None if the image could not be used.
        fault: why not.
        sizes: bytes of each file that was written.
        confidence: how sure the model is of it, from 0 to 1, if it says so.
    """
    image: str
    found: Any = None
    fault: str = ''
    sizes: Sequence[int] = ()
    confidence: Optional[float] = None


def read_made(out: str) -> Tuple[dict, List[str]]:
    """The settings that the results in a folder depend on, and the sorted names of the images that have any.

    Raises:
        FileNotFoundError: it has no records.
        ValueError: these have no settings.
    """
    paths = parts_of(osp.join(out, PROGRESS))
    names = {line.image for path in paths for _, line in read_lines(path) if not line.fault}
    heads = [parse(text) for path in paths for text in texts_of(path) if text.startswith(HEAD)]
    if not any(heads):
        raise ValueError(f'{printable(osp.join(out, PROGRESS))} has no record of what was made')
    return [head for head in heads if head][-1]['settings'], sorted(names)


def parts_of(folder: str) -> List[str]:
    """Paths of all parts; that which was written to last is the last one, and what it says counts."""
    paths = sorted(osp.join(folder, name) for name in os.listdir(folder) if PART.fullmatch(name))
    return sorted(paths, key=osp.getmtime)


def read_lines(path: str) -> Iterator[Tuple[int, Line]]:
    """Offset and content of the lines of images; what is cut or damaged is left out, as if it were not there."""
    offset = 0
    for text in texts_of(path):
        values = parse(text)
        if values is not None and 'image' in values:
            yield offset, Line(**values)
        offset += len(text)


def texts_of(path: str) -> Iterator[bytes]:
    with open(path, 'rb') as file:
        yield from file


def parse(text: bytes) -> Optional[dict]:
    if not text.endswith(b'\n'):
        return None
    try:
        values = json.loads(text)
    except ValueError:
        return None
    return values if isinstance(values, dict) and ('settings' in values or {*values} <= {*Line._fields}) else None


def mend(file: BinaryIO, path: str) -> None:
    """Cut off a last line that was not finished, and heads of calls that have made nothing at all."""
    size = file.seek(0, os.SEEK_END)
    end = size if not size or _at(file, size - 1) == b'\n' else _end_before_last_line(file)
    if end < size:
        file.truncate(end)
        say(f'{printable(path)} was cut in its last line, whose image is made again', logging.WARNING)
    if not has_lines(path):
        file.truncate(0)


def has_lines(path: str) -> bool:
    """Whether something is known of an image."""
    return any(True for _ in read_lines(path))


def _end_before_last_line(file: BinaryIO) -> int:
    """Where the last line begins."""
    end = file.seek(0, os.SEEK_END) - 1
    while end > 0 and _at(file, end - 1) != b'\n':
        end -= 1
    return max(end, 0)


def _at(file: BinaryIO, place: int) -> bytes:
    file.seek(place)
    return file.read(1)
