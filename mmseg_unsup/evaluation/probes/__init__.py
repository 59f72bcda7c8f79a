from .base import Probe, labels_on_grid
from .dense_knn import DenseKNNProbe
from .kmeans import KMeansProbe
from .linear import LinearProbe
from .segment_retrieval import SegmentRetrievalProbe

__all__ = [
    'DenseKNNProbe', 'KMeansProbe', 'LinearProbe', 'Probe', 'SegmentRetrievalProbe', 'labels_on_grid'
]
