from .contact_sheet import contact_sheet
from .overlay import highlight, overlay
from .palette import cluster_palette

__all__ = ['cluster_palette', 'contact_sheet', 'highlight', 'overlay']
