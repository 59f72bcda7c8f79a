"""Backbones, and what may stand around one."""
from .dino_vit import DINOViT, dino_vit_config
from .frozen_backbone import FrozenBackbone, frozen_networks

__all__ = ['DINOViT', 'FrozenBackbone', 'dino_vit_config', 'frozen_networks']
