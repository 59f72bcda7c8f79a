"""The images of a folder by their names."""
import hashlib
import os
import os.path as osp
from bisect import bisect_left
from functools import cached_property
from typing import Optional, Sequence

from .image_input import list_inputs


class ImageNames(Sequence):
    """The names of images below their folder, made of the sorted paths when they are asked for."""

    def __init__(self, paths: Sequence[str], root: str) -> None:
        self.paths, self.root = paths, root
        self._prefix = osp.join(root, '')

    @classmethod
    def of(cls, images: str) -> 'ImageNames':
        """Those of the images below a folder, or of one image; what is raised is that of :func:`list_inputs`."""
        return cls(list_inputs(images), images if osp.isdir(images) else osp.dirname(images) or '.')

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> str:
        return self.name_of(self.paths[i])

    def name_of(self, path: str) -> str:
        """The name of an image by its path."""
        return path[len(self._prefix):] if path.startswith(self._prefix) else osp.relpath(path, self.root)

    def find(self, name: str) -> Optional[int]:
        """The number of a name; None if no image has it."""
        i = bisect_left(self, name)
        return i if i < len(self) and self[i] == name else None

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits of all names in their order."""
        digest = hashlib.sha256()
        for name in self:
            digest.update(os.fsencode(name) + b'\0')
        return digest.hexdigest()[:16]
