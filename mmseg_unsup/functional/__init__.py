"""Functions of tensors that know neither models nor data sets."""
from .class_map import class_map, to_image_size, winner_map
from .fingerprint import fingerprint
from .pooling import object_means, object_rows, resize_ids, sample_object_rows
from .scores import linear_scores, prototype_scores
from .segments import connected_segments, describe_segments
from .views import unit, view_features
from .warp import warp

__all__ = [
    'class_map', 'connected_segments', 'describe_segments', 'fingerprint', 'linear_scores', 'object_means',
    'object_rows', 'prototype_scores', 'resize_ids', 'sample_object_rows', 'to_image_size', 'unit', 'view_features', 'warp',
    'winner_map'
]
