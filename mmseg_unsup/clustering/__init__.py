from .kmeans import MiniBatchKMeans
from .streaming import StreamingKMeans, StreamSettings
from .weights import cluster_weights

__all__ = ['MiniBatchKMeans', 'StreamSettings', 'StreamingKMeans', 'cluster_weights']
