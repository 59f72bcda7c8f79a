from .cluster_maps import ClusterMaps
from .hungarian_iou import HungarianIoUMetric
from .object_kmeans import ObjectKMeansMetric
from .repeated_iou import RepeatedIoUMetric

__all__ = ['ClusterMaps', 'HungarianIoUMetric', 'ObjectKMeansMetric', 'RepeatedIoUMetric']
