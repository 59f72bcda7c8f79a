from .base import Prior, clean_mask
from .folder import FolderPrior
from .model import ModelPrior
from .rbd import RBDPrior
from .region import RegionPrior
from .spectral import SpectralPrior

__all__ = ['FolderPrior', 'ModelPrior', 'Prior', 'RBDPrior', 'RegionPrior', 'SpectralPrior', 'clean_mask']
