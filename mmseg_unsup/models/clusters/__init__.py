from .cluster_set import (ClassifierSet, ClusterSet, CosineClusterSet, DescriptorClusters, LabellingPrototypes,
                          PrototypeSet, nearest_prototypes)
from .cluster_sets import FRESH, ClusterSets
from .modularity_set import ModularitySet
from .neighbour_set import NeighbourSet
from .over_clustering import Level, add_levels

__all__ = [
    'FRESH', 'ClassifierSet', 'ClusterSet', 'ClusterSets', 'CosineClusterSet', 'DescriptorClusters',
    'LabellingPrototypes', 'Level', 'ModularitySet', 'NeighbourSet', 'PrototypeSet', 'add_levels',
    'nearest_prototypes'
]
