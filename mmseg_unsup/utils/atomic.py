"""Files that are there whole or not at all."""
import hashlib
import io
import json
import os
import os.path as osp
import re
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, Callable, Container, Iterator, Optional

_PART = re.compile(r'\.\d+\.part$')  # with the process that was writing it
MAX_NAME = 255  # bytes of the name of a file


@contextmanager
def replacing(path: str, flush: bool = True) -> Iterator[str]:
    """Yield the name of a temporary file in the same folder; after the block it takes the place of ``path``.

    Its bytes are on the disk before it is renamed, and the folder after that: whatever ends the process or the machine
    leaves the old file or the new one. If the block fails, the temporary file goes and ``path`` is as it was.

    Args:
        flush: wait for the disk. Without it the machine, unlike the process, may not stop at any moment; for many small
            files that are easily made again.

    Raises:
        OSError: the file cannot be written, as on a full disk; it names ``path``.
    """
    folder, part = osp.dirname(path) or '.', _part_of(path)
    try:
        yield part
        if flush:
            _flush(part)
        os.replace(part, path)
    except BaseException as error:
        if osp.exists(part):
            os.remove(part)
        if isinstance(error, OSError) and error.errno and error.filename in (None, part):
            raise OSError(error.errno, f'{error.strerror}: nothing was written, and what was there before is whole',
                          path) from None
        raise
    if flush:
        _flush(folder)


@contextmanager
def naming(path: str) -> Iterator[None]:
    """A block that writes a file: its OSError, as of a full disk, names the file, which that of ``write`` does not."""
    try:
        yield
    except OSError as error:
        if error.errno and error.filename is None:
            error.filename = path
        raise


@contextmanager
def made_folder(folder: str) -> Iterator[None]:
    """A block with a folder; what of its path was not there before goes again if it is empty afterwards."""
    made, place = [], osp.abspath(folder)
    while not osp.isdir(place):
        made.append(place)
        place = osp.dirname(place)
    os.makedirs(folder, exist_ok=True)
    try:
        yield
    finally:
        with suppress(OSError):  # the first one that is not empty
            for each in made:
                os.rmdir(each)


def write_from_memory(path: str, write: Callable[[BinaryIO], None]) -> None:
    """Let ``write`` fill memory, then write that to a file.

    Where a disk is full, torch's own writers do not raise OSError: ``torch.save`` raises RuntimeError without the
    cause, and ``torch.jit.save`` ends the process.
    """
    buffer = io.BytesIO()
    write(buffer)
    with open(path, 'wb') as file:
        file.write(buffer.getbuffer())


def write_json(path: str, value: Any) -> None:
    """Write a JSON file in one step; of names that are no UTF-8 it holds the escapes, which read as the same names."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False))


def write_text(path: str, text: str) -> None:
    """Write a text file in one step; of names that are no UTF-8 it holds the escapes."""
    with replacing(path) as part, open(part, 'w', encoding='utf-8', errors='backslashreplace') as file:
        file.write(text)


@contextmanager
def writing_last(path: str, text: str) -> Iterator[None]:
    """Write a text file after the block; a former one of another text goes before, as it says nothing of what the block
    writes."""
    if osp.exists(path):
        with open(path, 'rb') as file:
            is_same = file.read() == text.encode(errors='backslashreplace')
        if not is_same:
            os.remove(path)
    yield
    write_text(path, text)


def remove_parts(folder: str, names: Optional[Container[str]] = None) -> None:
    """Remove the temporary files that killed processes left in a folder, of files that nothing else writes now: those
    of ``names``, all by default."""
    for name in os.listdir(folder) if osp.isdir(folder) else []:
        if _PART.search(name) and (names is None or whole_name(name) in names):
            os.remove(osp.join(folder, name))


def whole_name(name: str) -> str:
    """The name that a temporary file gets when it is whole; of any other file its own."""
    return _PART.sub('', name)


def remove_parts_below(folder: str) -> None:
    """:func:`remove_parts` of a folder and all below it."""
    for path, _, _ in os.walk(folder):
        remove_parts(path)


def _part_of(path: str) -> str:
    """Name of the temporary file; that of a long name has a digest in its place."""
    folder, name = osp.split(path)
    suffix = f'.{os.getpid()}.part'
    if len(os.fsencode(name + suffix)) > MAX_NAME:
        name = hashlib.sha1(os.fsencode(name)).hexdigest()
    return osp.join(folder, name + suffix)


def _flush(path: str) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
