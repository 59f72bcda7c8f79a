from .metrics import ClusterIoUMetric, ClusterMaps, ObjectKMeansMetric, ReleasedGroupsIoUMetric, RepeatedIoUMetric
from .probes import DenseKNNProbe, KMeansProbe, LinearProbe, SegmentRetrievalProbe

__all__ = [
    'ClusterIoUMetric', 'ClusterMaps', 'DenseKNNProbe', 'KMeansProbe', 'LinearProbe', 'ObjectKMeansMetric',
    'ReleasedGroupsIoUMetric', 'RepeatedIoUMetric', 'SegmentRetrievalProbe'
]
