from .cluster_head import ClusterHead
from .embedding_head import EmbeddingHead
from .prototype_head import PrototypeHead
from .soft_cluster_head import SoftClusterHead

__all__ = ['ClusterHead', 'EmbeddingHead', 'PrototypeHead', 'SoftClusterHead']
