from .base import Prior, clean_mask
from .features import FeaturePrior
from .folder import FolderPrior
from .model import ModelPrior
from .principal import PrincipalMaskPrior
from .rbd import RBDPrior
from .recursive_cut import NormalizedCutPrior
from .region import RegionPrior
from .spectral import SpectralPrior
from .token_cut import TokenCutPrior

__all__ = [
    'FeaturePrior', 'FolderPrior', 'ModelPrior', 'NormalizedCutPrior', 'PrincipalMaskPrior', 'Prior', 'RBDPrior',
    'RegionPrior', 'SpectralPrior', 'TokenCutPrior', 'clean_mask'
]
