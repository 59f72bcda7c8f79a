"""Names of files: whether they leave the folder that they belong to, and how to print them."""
import os.path as osp


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
