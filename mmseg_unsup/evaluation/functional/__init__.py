from .matching import (confusion_matrix, group_scores, match_clusters, matched_confusion, scores_from_confusion)

__all__ = ['confusion_matrix', 'group_scores', 'match_clusters', 'matched_confusion', 'scores_from_confusion']
