from .metrics import ClusterMaps, HungarianIoUMetric

__all__ = ['ClusterMaps', 'HungarianIoUMetric']
