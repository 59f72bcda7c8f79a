from .cross_view_loss import cross_view_loss

__all__ = ['cross_view_loss']
