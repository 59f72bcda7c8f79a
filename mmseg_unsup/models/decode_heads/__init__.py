from .cluster_head import ClusterHead
from .prototype_head import PrototypeHead
from .soft_cluster_head import SoftClusterHead

__all__ = ['ClusterHead', 'PrototypeHead', 'SoftClusterHead']
