"""Lists of files that stay small for millions of them."""
import copy
import os
import os.path as osp
from collections.abc import Sequence
from itertools import islice
from typing import Callable, Iterable, Union

import numpy as np

_BLOCK = 2**14  # names that are joined at once


class PathList(Sequence):
    """Paths below one folder in the memory of their names: one block of bytes and two numbers a path.

    A list of strings takes twice as much, and every process that reads it copies it: to look at a string is to count a
    reference in it. These arrays are shared by all data workers, and by all data sets of a run.

    Args:
        root: the folder, which is stored once.
        names: relative to it, in the order of the list.
    """

    def __init__(self, root: str, names: Iterable[str]) -> None:
        names, blocks, lengths = iter(names), [], [np.zeros(1, np.int64)]
        # a block that grew would leave holes of all its sizes in a heap that keeps them
        while lines := [os.fsencode(name) + b'\n' for name in islice(names, _BLOCK)]:
            blocks.append(b''.join(lines))
            lengths.append(np.fromiter(map(len, lines), np.int64, len(lines)))
        self._root, self._block = osp.join(root, ''), b''.join(blocks)
        bounds = np.concatenate(lengths).cumsum()
        self._starts, self._ends = bounds[:-1], bounds[1:]  # the end of a name is that of its line

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: Union[int, slice, np.ndarray]) -> Union[str, 'PathList']:
        """A path, or those of a slice or an array of indices; these share the memory of the names."""
        if isinstance(index, (slice, np.ndarray)):
            part = copy.copy(self)
            part._starts, part._ends = self._starts[index], self._ends[index]
            return part
        return self._root + os.fsdecode(self._block[self._starts[index]:self._ends[index] - 1])

    def below(self, root: str) -> 'PathList':
        """The same names in another folder; shares the memory."""
        other = copy.copy(self)
        other._root = osp.join(root, '')
        return other

    def lines(self, start: int, end: int, root: str) -> bytes:
        """The paths from number ``start`` on and before ``end``, each with a newline behind it, relative to ``root``,
        which does not lie inside the folder of the list."""
        prefix = os.fsencode(osp.relpath(self._root, root))
        starts, ends = self._starts[start:end].tolist(), self._ends[start:end].tolist()
        if prefix == os.fsencode(osp.curdir) and starts[1:] == ends[:-1]:  # one piece of the block
            return self._block[starts[0]:ends[-1]] if starts else b''
        prefix = b'' if prefix == os.fsencode(osp.curdir) else os.path.join(prefix, b'')
        return b''.join(prefix + self._block[first:last] for first, last in zip(starts, ends))


class Records(Sequence):
    """What a data set knows of each of its images, made when it is asked for.

    Args:
        make: paths of the files of an image -> record.
        paths: of the images.
        others: of what goes with them, such as masks.
    """

    def __init__(self, make: Callable[..., dict], paths: PathList, *others: PathList) -> None:
        self.paths, self._make, self._others = paths, make, others

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Union[int, slice]) -> Union[dict, 'Records']:
        found = [paths[index] for paths in (self.paths, *self._others)]
        return Records(self._make, *found) if isinstance(index, slice) else self._make(*found)
