"""Cluster maps over their images."""
from typing import Optional

import cv2
import numpy as np


def overlay(image: np.ndarray, clusters: np.ndarray, palette: np.ndarray, background: Optional[int] = None,
            alpha: float = 0.55) -> np.ndarray:
    """Colour the clusters of an image, with a line where they meet.

    Args:
        image: (H, W, 3) uint8 RGB.
        clusters: (H, W) ids.
        palette: (K, 3) uint8 RGB.
        background: the id whose pixels stay as they are.
        alpha: share of the colour.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    colors = palette[clusters]
    mixed = cv2.addWeighted(image, 1 - alpha, colors, alpha, 0)
    shown = np.ones(clusters.shape, bool) if background is None else clusters != background
    out = np.where(shown[..., None], mixed, image)
    out[_edges(clusters)] = 255
    return out


def _edges(ids: np.ndarray) -> np.ndarray:
    """(H, W) bool, pixels that differ from the one to the right or below."""
    edges = np.zeros(ids.shape, bool)
    edges[:, :-1] |= ids[:, :-1] != ids[:, 1:]
    edges[:-1] |= ids[:-1] != ids[1:]
    return edges
