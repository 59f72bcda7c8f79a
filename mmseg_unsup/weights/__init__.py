"""Weights on disk: whose they are, whether they fit, and what they have seen."""
from .identity import identity_text, weights_identity
from .initialization import (PretrainedBackbone, PretrainedNeck, check_backbone_file, check_identity,
                             check_stock_initialization, check_unchanged, initial_source, initial_weights_seen,
                             quiet_init_weights, stated_source)
from .network_options import load_network_config
from .networks import describe_network, is_transformer, known_network
from .pretrained_file import read_part, resnet_depth
from .tensor_match import explain, match_tensors
from .vit_settings import REGISTERS, VIT_SIZES, ViTSize, vit_settings
from .weights_seen import add_labels, weights_seen

__all__ = [
    'REGISTERS', 'VIT_SIZES', 'PretrainedBackbone', 'PretrainedNeck', 'ViTSize', 'add_labels',
    'check_backbone_file', 'check_identity', 'check_stock_initialization', 'check_unchanged', 'describe_network',
    'explain', 'identity_text', 'initial_source', 'initial_weights_seen', 'is_transformer', 'known_network',
    'load_network_config', 'match_tensors', 'quiet_init_weights', 'read_part', 'resnet_depth',
    'stated_source', 'vit_settings', 'weights_identity', 'weights_seen'
]
