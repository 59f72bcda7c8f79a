from .class_map import class_map
from .initialization import check_backbone_initialization, quiet_init_weights
from .labeller import Labeller
from .pooling import object_means, object_rows, resize_ids, sample_object_rows
from .prototype_queue import PrototypeQueue, gather_prototypes
from .segments import connected_segments, describe_segments
from .warp import warp

__all__ = [
    'Labeller', 'PrototypeQueue', 'check_backbone_initialization', 'class_map', 'connected_segments',
    'describe_segments', 'gather_prototypes', 'object_means', 'object_rows', 'quiet_init_weights', 'resize_ids',
    'sample_object_rows', 'warp'
]
