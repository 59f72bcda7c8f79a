"""Colours for cluster ids, which have no names."""
import colorsys

import numpy as np


def cluster_palette(n_clusters: int) -> np.ndarray:
    """(K, 3) uint8 RGB colours that stay apart: hues by the golden ratio, three levels of brightness in turn."""
    golden = 0.6180339887
    colors = [
        colorsys.hsv_to_rgb((0.05 + k * golden) % 1, (0.75, 0.55, 0.9)[k % 3], (0.95, 0.7, 0.5)[k // 3 % 3])
        for k in range(n_clusters)
    ]
    return np.round(255 * np.array(colors).reshape(-1, 3)).astype(np.uint8)
