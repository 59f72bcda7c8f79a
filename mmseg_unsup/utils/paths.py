"""Names of files: whether they leave the folder that they belong to, how to print them, and which are spelt alike."""
import os
import os.path as osp
from typing import Callable

from .near_names import did_you_mean, similar


def is_outside(path: str, root: str) -> bool:
    """Whether a path that is joined to ``root`` may leave it: it has ``..``, or is absolute and not below ``root``.

    Names alone decide; links are not followed.
    """
    return _climbs(path) or osp.isabs(path) and _climbs(osp.relpath(path, root))


def _climbs(path: str) -> bool:
    return '..' in path.replace('\\', '/').split('/')


def printable(path: str) -> str:
    """A path whose bytes may be no UTF-8, as text that every stream takes."""
    return path.encode('utf-8', 'backslashreplace').decode()


def check_utf8(path: str, program: str) -> None:
    """Raise ValueError unless a program that knows names in UTF-8 alone can open a file."""
    try:
        osp.abspath(path).encode()
    except UnicodeEncodeError:
        raise ValueError(f'{printable(path)} is no name in UTF-8, which {program} needs: rename it') from None


def shown(path: str) -> str:
    """A path for people: relative to the working directory if it lies below it; an address, and ``PACKAGE::NAME`` of a
    config, as it is."""
    if '://' in path or '::' in path:
        return path
    is_below = path.startswith(osp.join(os.getcwd(), ''))
    return printable(osp.normpath(osp.relpath(path) if is_below else path))


def nearest_existing(path: str) -> str:
    """The path itself, or the nearest above it that is there, be it a folder, a file or a link that leads nowhere."""
    place = osp.abspath(path)
    while not osp.lexists(place):
        place = osp.dirname(place)
    return place


def path_remedy(path: str, is_wanted: Callable[[str], bool] = osp.exists, otherwise: str = 'check the path') -> str:
    """What to do about a path that leads nowhere: a question that names what lies beside it and is spelt nearly so."""
    folder, name = osp.split(path.rstrip('/\\'))
    place = folder or '.'
    beside = os.listdir(place) if osp.isdir(place) and os.access(place, os.R_OK) else []
    near = [osp.join(folder, other) for other in similar(name, {*beside} - {name})]
    near = [printable(other) for other in near if is_wanted(other)]
    return did_you_mean(near, otherwise)
