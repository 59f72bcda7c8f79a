from .cluster_head import ClusterHead
from .embedding_head import EmbeddingHead

__all__ = ['ClusterHead', 'EmbeddingHead']
