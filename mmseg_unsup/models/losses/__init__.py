from .balanced_bce_loss import BalancedBCELoss, balanced_bce_loss
from .confidence_loss import confidence_weighted_loss, mean_confidence
from .cross_view_loss import cross_view_loss
from .iic_loss import iic_loss
from .mask_nce_loss import MaskNCELoss, mask_nce_loss
from .smoothness_loss import smoothness_loss

__all__ = [
    'BalancedBCELoss', 'MaskNCELoss', 'balanced_bce_loss', 'confidence_weighted_loss', 'cross_view_loss', 'iic_loss',
    'mask_nce_loss', 'mean_confidence', 'smoothness_loss'
]
