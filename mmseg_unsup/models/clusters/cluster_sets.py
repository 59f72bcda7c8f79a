"""The sets of clusters of a model, by name."""
from typing import List, Optional

from torch import nn

from .cluster_set import ClusterSet

FRESH = 'fresh'


class ClusterSets(nn.ModuleDict):
    """Name -> :class:`ClusterSet`; ``fresh`` is the k-means on the finished features, which every method has."""

    def __getitem__(self, name: str) -> ClusterSet:
        """The set.

        Raises:
            KeyError: there is none of this name.
        """
        if name not in self:
            raise KeyError(f'unknown cluster set {name!r}; this head has {list(self)}')
        return super().__getitem__(name)

    def fitted(self, name: str) -> ClusterSet:
        """The set, if it can score.

        Raises:
            KeyError: there is none of this name; RuntimeError: it has not been fitted.
        """
        clusters = self[name]
        if not clusters.is_fitted:
            raise RuntimeError(f'the cluster set {name!r} has not been fitted: load a checkpoint of a run that '
                               'clustered, or train first')
        return clusters

    @property
    def trained(self) -> List[str]:
        """Names of the sets that the training makes; the first one predicts until ``fresh`` is fitted."""
        return [name for name in self if name != FRESH]

    @property
    def default(self) -> str:
        """Name of the set that predicts where none is asked for."""
        return FRESH if not self.trained or FRESH in self and self[FRESH].is_fitted else self.trained[0]

    def usable(self, names: Optional[List[str]] = None) -> List[str]:
        """Those of the names that predict; of a checkpoint without fresh clusters, trained ones take their place."""
        names = list(names or [self.default])
        if FRESH not in names or self[FRESH].is_fitted:
            return names
        trained = [name for name in self.trained if self[name].is_fitted]  # asked last: the answer of a GPU takes time
        return ([name for name in names if name != FRESH] or trained[:1]) if trained else names
