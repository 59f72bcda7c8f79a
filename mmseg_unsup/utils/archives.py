"""Archives as data: their files are copied to where they belong, and nothing else of them is made."""
import os
import os.path as osp
import shutil
import stat
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from typing import BinaryIO, Callable, Iterator, List, Mapping, NamedTuple, Optional

from .paths import is_outside, printable
from .progress import track_progress

_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError, NotImplementedError)


class Member(NamedTuple):
    """A file in an archive."""
    name: str
    size: int
    open: Callable[[], BinaryIO]


class WantedFiles(NamedTuple):
    """Files of an archive, and the path of each below the folder that they are for."""
    members: List[Member]
    places: List[str]

    @property
    def n_bytes(self) -> int:
        return sum(member.size for member in self.members)

    def copy_to(self, folder: str, title: str) -> None:
        """Write them below a folder of their own; ``title`` is for the progress display."""
        with track_progress(f'unpacking {title}', len(self.members), 'files') as advance:
            for member, place in zip(self.members, self.places):
                path = osp.join(folder, place)
                os.makedirs(osp.dirname(path), exist_ok=True)
                with member.open() as source, open(path, 'wb') as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                advance(1)


@contextmanager
def opened_archive(path: str, places: Mapping[str, str]) -> Iterator[WantedFiles]:
    """The files of a zip or tar archive that lie in some of its folders.

    Args:
        places: folder in the archive, in which ``*`` stands for any one name, -> what takes its place.

    Raises:
        ValueError: it is damaged, or of another kind; it holds a path that leads out of it, or a link or device in one
            of those folders: nothing was written.
    """
    try:
        with _members_of(path) as members:
            placed = [(member, place) for member, place in ((each, _place(each, places, path)) for each in members)
                      if place is not None]
            yield WantedFiles([member for member, _ in placed], [place for _, place in placed])
    except _DAMAGED as error:
        raise ValueError(f'the archive {printable(path)} is cut off, damaged or of another kind ({error}): fetch it '
                         'again') from None


@contextmanager
def _members_of(path: str) -> Iterator[List[Member]]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield [_of_zip(archive, info) for info in archive.infolist() if not info.is_dir()]
    else:
        with tarfile.open(path) as archive:
            yield [_of_tar(archive, info) for info in archive.getmembers() if not info.isdir()]


def _of_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    kind = stat.S_IFMT(info.external_attr >> 16)
    return Member(info.filename, info.file_size if kind in (0, stat.S_IFREG) else -1, lambda: archive.open(info))


def _of_tar(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    return Member(info.name, info.size if info.isreg() else -1, lambda: archive.extractfile(info))


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
