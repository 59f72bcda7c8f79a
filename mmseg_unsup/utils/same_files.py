"""Whether several things would be written to one file."""
from typing import Callable, Dict, Optional, Sequence, Tuple

import numpy as np


def two_of_one_file(names: Sequence[str], file_of: Callable[[str], str]) -> Optional[Tuple[int, int]]:
    """The numbers of the first two names that would have one file; None where each has its own.

    Of names without a double it keeps a few numbers each, as there may be millions.

    Args:
        file_of: a name -> that of its file.
    """
    hashes = np.fromiter((hash(file_of(name)) for name in names), np.int64, len(names))
    _, numbers, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    number_of: Dict[str, int] = {}
    for i in np.flatnonzero(counts[numbers] > 1).tolist():
        other = number_of.setdefault(file_of(names[i]), i)
        if other != i:
            return other, i
    return None
