from .cluster_names import ClusterNames, NamedClass

__all__ = ['ClusterNames', 'NamedClass']
