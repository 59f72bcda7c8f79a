from .cluster_maps import ClusterMaps
from .hungarian_iou import HungarianIoUMetric

__all__ = ['ClusterMaps', 'HungarianIoUMetric']
