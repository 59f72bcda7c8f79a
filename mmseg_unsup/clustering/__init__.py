from .kmeans import MiniBatchKMeans
from .streaming import StreamingKMeans
from .weights import cluster_weights

__all__ = ['MiniBatchKMeans', 'StreamingKMeans', 'cluster_weights']
