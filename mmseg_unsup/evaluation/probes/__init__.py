from .base import Probe, labels_on_grid
from .dense_knn import DenseKNNProbe
from .kmeans import KMeansProbe
from .linear import LinearProbe
from .pixel import PixelProbe
from .segment_retrieval import SegmentRetrievalProbe

__all__ = [
    'DenseKNNProbe', 'KMeansProbe', 'LinearProbe', 'PixelProbe', 'Probe', 'SegmentRetrievalProbe',
    'labels_on_grid'
]
