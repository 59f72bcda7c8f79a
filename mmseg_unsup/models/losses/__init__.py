from .cross_view_loss import cross_view_loss
from .iic_loss import iic_loss

__all__ = ['cross_view_loss', 'iic_loss']
