"""Archives as data: their files are copied to where they belong, and nothing else of them is made."""
import os
import os.path as osp
import stat
import tarfile
import zipfile
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import BinaryIO, Callable, Iterator, List, Mapping, NamedTuple, Optional

from .atomic import naming
from .paths import is_outside, printable
from .progress import track_progress

_BLOCK = 1 << 20


class Member(NamedTuple):
    """A file in an archive."""
    name: str
    size: int
    open: Callable[[], BinaryIO]


class WantedFiles(NamedTuple):
    """Files of an archive, and the path of each below the folder that they are for."""
    archive: str
    members: List[Member]
    places: List[str]

    @property
    def n_bytes(self) -> int:
        return sum(member.size for member in self.members)

    def copy_to(self, folder: str, title: str) -> None:
        """Write them below an empty folder; ``title`` is for the progress display.

        Raises:
            OSError: the disk is full.
            ValueError: as :func:`opened_archive`; one file would take the place of another.
        """
        with track_progress(f'unpacking {title}', len(self.members), 'files') as advance:
            for member, place in zip(self.members, self.places):
                self._copy(member, osp.join(folder, place))
                advance(1)

    def _copy(self, member: Member, path: str) -> None:
        try:
            os.makedirs(osp.dirname(path), exist_ok=True)
            with naming(path), open(path, 'xb') as target:
                for block in self._blocks(member):
                    target.write(block)
        except (FileExistsError, NotADirectoryError):
            raise ValueError(f'the archive {printable(self.archive)} has {member.name!r} twice, or as a file and as a '
                             'folder') from None

    def _blocks(self, member: Member) -> Iterator[bytes]:
        with _reading(self.archive), member.open() as source:
            while block := source.read(_BLOCK):
                yield block


@contextmanager
def opened_archive(path: str, places: Mapping[str, str]) -> Iterator[WantedFiles]:
    """The files of a zip or tar archive that lie in some of its folders.

    Args:
        places: folder in the archive, in which ``*`` stands for any one name, -> what takes its place.

    Raises:
        ValueError: it is damaged, or of another kind; it holds a path that leads out of it, or a link or device in one
            of those folders: nothing was written.
    """
    with _members_of(path) as members:
        placed = [(member, place) for member, place in ((each, _place(each, places, path)) for each in members)
                  if place is not None]
        yield WantedFiles(path, [member for member, _ in placed], [place for _, place in placed])


@contextmanager
def _members_of(path: str) -> Iterator[List[Member]]:
    with ExitStack() as stack:
        with _reading(path):
            if zipfile.is_zipfile(path):
                members = _of_zip(stack.enter_context(zipfile.ZipFile(path)))
            else:
                members = _of_tar(stack.enter_context(tarfile.open(path)))
        yield members


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """A block that reads an archive, in which one that is damaged may fail in any way."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:  # it cannot be opened
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(':')
        raise ValueError(f'the archive {printable(path)} is cut off, damaged or of another kind ({reason})') from None


def _of_zip(archive: zipfile.ZipFile) -> List[Member]:
    return [Member(info.filename, info.file_size if _is_regular(info) else -1, partial(archive.open, info))
            for info in archive.infolist() if not info.is_dir()]


def _is_regular(info: zipfile.ZipInfo) -> bool:
    return stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG)


def _of_tar(archive: tarfile.TarFile) -> List[Member]:
    return [Member(info.name, info.size if info.isreg() else -1, partial(archive.extractfile, info))
            for info in archive.getmembers() if not info.isdir()]


def _place(member: Member, places: Mapping[str, str], path: str) -> Optional[str]:
    """Where a file goes; None where it is not wanted."""
    name = member.name.removeprefix('./')
    if is_outside(name, osp.curdir) or osp.isabs(name):
        raise ValueError(f'the archive {printable(path)} has a file {member.name!r}, which would lie elsewhere than in '
                         'the folder that it is unpacked into: nothing was unpacked')
    parts = name.split('/')
    for source, target in places.items():
        wanted = source.split('/')
        if len(parts) > len(wanted) and all(want in ('*', part) for want, part in zip(wanted, parts)):
            if member.size < 0:
                raise ValueError(f'the archive {printable(path)} has {member.name!r}, which is a link or a device and '
                                 'no file: nothing was unpacked')
            return osp.join(target, *parts[len(wanted):])
    return None
