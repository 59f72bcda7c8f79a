from .metrics import ClusterMaps, HungarianIoUMetric, ObjectKMeansMetric, RepeatedIoUMetric
from .probes import DenseCRF, DenseKNNProbe, KMeansProbe, LinearProbe, SegmentRetrievalProbe

__all__ = [
    'ClusterMaps', 'DenseCRF', 'DenseKNNProbe', 'HungarianIoUMetric', 'KMeansProbe', 'LinearProbe',
    'ObjectKMeansMetric', 'RepeatedIoUMetric', 'SegmentRetrievalProbe'
]
