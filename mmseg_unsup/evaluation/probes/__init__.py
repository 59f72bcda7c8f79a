from .base import Probe, labels_on_grid
from .dense_crf import DenseCRF
from .dense_knn import DenseKNNProbe
from .kmeans import KMeansProbe
from .linear import LinearProbe

__all__ = ['DenseCRF', 'DenseKNNProbe', 'KMeansProbe', 'LinearProbe', 'Probe', 'labels_on_grid']
