from .charts import heat_map, size_chart
from .contact_sheet import contact_sheet
from .overlay import cluster_palette, overlay, with_legend

__all__ = ['cluster_palette', 'contact_sheet', 'heat_map', 'overlay', 'size_chart', 'with_legend']
