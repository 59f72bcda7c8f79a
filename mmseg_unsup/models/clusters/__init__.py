from .averaged_set import AveragedSet
from .cluster_set import (ClassifierSet, ClusterSet, CosineClusterSet, DescriptorClusters, LabellingPrototypes,
                          PrototypeSet, nearest_prototypes)
from .cluster_sets import FRESH, ClusterSets
from .modularity_set import ModularitySet
from .neighbour_set import NeighbourSet
from .over_clustering import Level, add_levels
from .taught_set import TaughtSet
from .weight_norm_set import WeightNormSet

__all__ = [
    'FRESH', 'AveragedSet', 'ClassifierSet', 'ClusterSet', 'ClusterSets', 'CosineClusterSet', 'DescriptorClusters',
    'LabellingPrototypes', 'Level', 'ModularitySet', 'NeighbourSet', 'PrototypeSet', 'TaughtSet', 'WeightNormSet',
    'add_levels', 'nearest_prototypes'
]
