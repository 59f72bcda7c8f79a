"""Functions of tensors that know neither models nor data sets."""
from .class_map import class_map, to_image_size, winner_map
from .fingerprint import fingerprint
from .majority import NO_MASK, majority_labels
from .normalized_cut import binary_affinity, cut_vector, recursive_cut, soft_affinity, token_cut
from .pooling import object_means, object_rows, resize_ids, sample_object_rows
from .principal_masks import mask_log_probabilities, principal_direction, principal_masks
from .scores import linear_scores, prototype_scores
from .segments import connected_segments, describe_segments
from .views import unit, view_features
from .warp import warp, warp_ids

__all__ = [
    'NO_MASK', 'binary_affinity', 'class_map', 'connected_segments', 'cut_vector', 'describe_segments', 'fingerprint',
    'linear_scores', 'majority_labels', 'mask_log_probabilities', 'object_means', 'object_rows', 'principal_direction',
    'principal_masks', 'prototype_scores', 'recursive_cut', 'resize_ids', 'sample_object_rows', 'soft_affinity',
    'to_image_size', 'token_cut', 'unit', 'view_features', 'warp', 'warp_ids', 'winner_map'
]
