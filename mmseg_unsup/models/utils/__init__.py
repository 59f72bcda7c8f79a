from .class_map import class_map, enlarge, winner_map
from .fingerprint import fingerprint
from .initialization import (PretrainedBackbone, PretrainedNeck, check_stock_initialization, check_unchanged,
                             initial_source, initial_weights_seen, quiet_init_weights)
from .labeller import Labeller
from .pooling import object_means, object_rows, resize_ids, sample_object_rows
from .pretrained_file import read_part, resnet_depth
from .prototype_queue import PrototypeQueue, gather_prototypes
from .segments import connected_segments, describe_segments
from .tensor_match import explain, match_tensors
from .warp import warp
from .weights_seen import add_labels, weights_seen

__all__ = [
    'Labeller', 'PretrainedBackbone', 'PretrainedNeck', 'PrototypeQueue', 'add_labels',
    'check_stock_initialization', 'check_unchanged', 'class_map', 'connected_segments', 'describe_segments',
    'enlarge', 'explain', 'fingerprint', 'gather_prototypes', 'initial_source', 'initial_weights_seen',
    'match_tensors', 'object_means', 'object_rows', 'quiet_init_weights', 'read_part', 'resize_ids', 'resnet_depth',
    'sample_object_rows', 'warp', 'weights_seen', 'winner_map'
]
