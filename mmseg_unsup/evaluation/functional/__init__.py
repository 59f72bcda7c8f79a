from .descriptor_kmeans import fit_descriptor_kmeans
from .matching import (confusion_matrix, group_scores, match_clusters, match_named, matched_confusion,
                       scores_from_confusion)
from .partition import adjusted_rand_index, normalized_mutual_information, partition_scores

__all__ = [
    'adjusted_rand_index', 'confusion_matrix', 'fit_descriptor_kmeans', 'group_scores', 'match_clusters',
    'match_named', 'matched_confusion', 'normalized_mutual_information', 'partition_scores', 'scores_from_confusion'
]
