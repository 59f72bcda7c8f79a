"""Hashes of files, and whether they are those that were published."""
import hashlib
import os
import os.path as osp
from typing import Dict, Iterable

_BLOCK = 1 << 20


def file_digests(path: str, kinds: Iterable[str]) -> Dict[str, str]:
    """Name of a hash, as of ``hashlib``, -> its hexadecimal digits of a file, which is read once."""
    found = {kind: hashlib.new(kind, usedforsecurity=False) for kind in kinds}
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(_BLOCK), b''):
            for digest in found.values():
                digest.update(block)
    return {kind: digest.hexdigest() for kind, digest in found.items()}


def has_digest(path: str, published: str) -> bool:
    """Whether a file is there with the published hash, ``'KIND:DIGITS'``, whose first digits may be all that are
    known."""
    kind, _, digits = published.partition(':')
    return osp.isfile(path) and file_digests(path, [kind])[kind].startswith(digits)


def git_tree(folder: str) -> str:
    r"""The id that git gives to a folder of plain files without sub-folders, 40 hexadecimal digits.

    Names and contents decide. Source: gitformat-pack and git-hash-object of git's manual; a tree is ``MODE NAME\0``
    and the 20 bytes of the id of each file, in the order of the names.
    """
    names = sorted(map(os.fsencode, os.listdir(folder)))
    entries = b''.join(b'100644 %s\0%s' % (name, _git_blob(osp.join(os.fsencode(folder), name))) for name in names)
    return _git_object(b'tree', entries).hex()


def _git_blob(path: bytes) -> bytes:
    with open(path, 'rb') as file:
        return _git_object(b'blob', file.read())


def _git_object(kind: bytes, content: bytes) -> bytes:
    head = kind + b' %d\0' % len(content)
    return hashlib.sha1(head + content, usedforsecurity=False).digest()
