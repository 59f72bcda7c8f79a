from .metrics import ClusterMaps, ClusterIoUMetric, ObjectKMeansMetric, RepeatedIoUMetric
from .probes import DenseCRF, DenseKNNProbe, KMeansProbe, LinearProbe, SegmentRetrievalProbe

__all__ = [
    'ClusterMaps', 'DenseCRF', 'DenseKNNProbe', 'ClusterIoUMetric', 'KMeansProbe', 'LinearProbe',
    'ObjectKMeansMetric', 'RepeatedIoUMetric', 'SegmentRetrievalProbe'
]
