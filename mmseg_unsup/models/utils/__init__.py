from .class_map import class_map
from .initialization import check_backbone_initialization, quiet_init_weights
from .labeller import Labeller
from .warp import warp

__all__ = ['Labeller', 'check_backbone_initialization', 'class_map', 'quiet_init_weights', 'warp']
