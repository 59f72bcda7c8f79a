from .kmeans import MiniBatchKMeans
from .neighbours import NeighbourVote, attend, nearest_rows
from .soft_labels import balanced_cells, balanced_order, class_shares, labelled_cells
from .ranking import rank_to_label
from .streaming import StreamingKMeans, StreamSettings
from .weights import cluster_weights

__all__ = [
    'MiniBatchKMeans', 'NeighbourVote', 'StreamSettings', 'StreamingKMeans', 'attend', 'balanced_cells',
    'balanced_order', 'class_shares', 'cluster_weights', 'labelled_cells', 'nearest_rows',
    'rank_to_label'
]
