from .metrics import ClusterMaps, ClusterIoUMetric, ObjectKMeansMetric, RepeatedIoUMetric
from .probes import DenseKNNProbe, KMeansProbe, LinearProbe, SegmentRetrievalProbe

__all__ = [
    'ClusterIoUMetric', 'ClusterMaps', 'DenseKNNProbe', 'KMeansProbe', 'LinearProbe',
    'ObjectKMeansMetric', 'RepeatedIoUMetric', 'SegmentRetrievalProbe'
]
