from .class_map import class_map
from .initialization import check_backbone_initialization, quiet_init_weights
from .labeller import Labeller
from .segments import connected_segments
from .warp import warp

__all__ = [
    'Labeller', 'check_backbone_initialization', 'class_map', 'connected_segments', 'quiet_init_weights', 'warp'
]
