"""Backbones, and what may stand around one."""
from .frozen_backbone import FrozenBackbone, frozen_networks

__all__ = ['FrozenBackbone', 'frozen_networks']
