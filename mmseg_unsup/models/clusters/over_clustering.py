"""More clusters beside those that predict, which only train."""
import math
from typing import List, NamedTuple, Sequence, Tuple, Union

import torch
from torch import Tensor

from ...utils.checks import is_finite
from .cluster_set import ClusterSet

Entry = Tuple[Union[int, str], Union[float, str]]


class Level(NamedTuple):
    """Sets of one size, one for each view, and their share of the loss."""
    sets: List[ClusterSet]
    share: float

    @property
    def prototypes(self) -> Tensor:
        """(V, K, C)."""
        return torch.stack([of_view.weight for of_view in self.sets])

    @property
    def class_weights(self) -> Tensor:
        """(V, K)."""
        return torch.stack([of_view.class_weights for of_view in self.sets])


def add_levels(head, build, names: Sequence[str], over_clustering: Sequence[Entry]) -> List[Level]:
    """Give a head the sets that predict and, for every entry of ``over_clustering``, as many more.

    Args:
        head: :class:`mmseg_unsup.ClusterHead`.
        build: number of clusters -> set.
        names: of the sets that predict; further ones are ``over1_<name>`` and so on.
        over_clustering: entries ``(K, weight)``. K is a number of clusters or a multiple of the head's, such as
            ``'2x'``. The loss is the mean over the levels by weight, where the first one has weight 1; the weight
            ``'log'`` is ``ln K_1 / ln K``, that of PiCIE+H: shares ``ln K / (ln K_1 + ln K)`` and
            ``ln K_1 / (ln K_1 + ln K)``.

    Raises:
        ValueError: an entry that is none.
    """
    sizes = [(head.n_clusters, 1.), *(_parse(entry, head.n_clusters) for entry in over_clustering)]
    total = sum(weight for _, weight in sizes)
    levels = []
    for i, (n_clusters, weight) in enumerate(sizes):
        sets = {f'over{i}_{name}' if i else name: build(n_clusters) for name in names}
        head.clusters.update(sets)
        levels.append(Level(list(sets.values()), weight / total))
    return levels


def _parse(entry: Entry, n_clusters: int) -> Tuple[int, float]:
    """``(K or 'Mx', weight or 'log')`` -> numbers."""
    if not isinstance(entry, (list, tuple)) or len(entry) != 2:
        raise ValueError(f"over_clustering holds {entry!r}, but each entry must be (K, weight), as in [(100, 'log')]")
    k, weight = _parse_clusters(entry[0], n_clusters), entry[1]
    if weight == 'log':
        weight = math.log(n_clusters) / math.log(k)
    if not is_finite(weight) or weight <= 0:
        raise ValueError(f"over_clustering: the weight of {entry!r} is neither positive nor 'log'")
    return k, float(weight)


def _parse_clusters(clusters: Union[int, str], n_clusters: int) -> int:
    try:
        is_multiple = isinstance(clusters, str) and clusters.endswith('x')
        number = round(float(clusters[:-1]) * n_clusters) if is_multiple else int(clusters)
    except (TypeError, ValueError):
        number = 0
    if number < 2:
        raise ValueError(f"over_clustering: {clusters!r} is no number of clusters from 2 on, nor a multiple of "
                         f"n_clusters={n_clusters} such as '2x'")
    return number
