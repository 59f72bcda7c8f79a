from .cluster_maps import ClusterMaps
from .cluster_iou import ClusterIoUMetric
from .object_kmeans import ObjectKMeansMetric
from .released_groups_iou import ReleasedGroupsIoUMetric
from .released_iou import ReleasedIoUMetric
from .repeated_iou import RepeatedIoUMetric

__all__ = [
    'ClusterMaps', 'ClusterIoUMetric', 'ObjectKMeansMetric', 'ReleasedGroupsIoUMetric', 'ReleasedIoUMetric',
    'RepeatedIoUMetric'
]
