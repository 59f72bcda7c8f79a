"""Cluster maps over their images: colours, lines and names."""
import colorsys
import os.path as osp
from typing import Optional, Sequence

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_SIZE, _LINE, _MARGIN = 13, 20, 8
_FONT = osp.join(matplotlib.get_data_path(), 'fonts', 'ttf', 'DejaVuSans.ttf')  # has accents, Greek and Cyrillic


def cluster_palette(n_clusters: int) -> np.ndarray:
    """(K, 3) uint8 RGB colours that stay apart: hues by the golden ratio, three levels of brightness in turn."""
    golden = 0.6180339887
    colors = [
        colorsys.hsv_to_rgb((0.05 + k * golden) % 1, (0.75, 0.55, 0.9)[k % 3], (0.95, 0.7, 0.5)[k // 3 % 3])
        for k in range(n_clusters)
    ]
    return np.round(255 * np.array(colors).reshape(-1, 3)).astype(np.uint8)


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


def with_legend(picture: np.ndarray, names: Sequence[str], palette: np.ndarray) -> np.ndarray:
    """A picture with a column of coloured squares and names at its right.

    Args:
        picture: (H, W, 3) uint8 RGB.
        names: L lines.
        palette: (L, 3) uint8 RGB.

    Returns:
        (H', W', 3) uint8 RGB, on white where it is longer than the picture.
    """
    font = ImageFont.truetype(_FONT, _SIZE)
    widest = max((font.getlength(name) for name in names), default=0)
    width = picture.shape[1] + 3 * _MARGIN + _SIZE + int(np.ceil(widest))
    height = max(picture.shape[0], len(names) * _LINE + 2 * _MARGIN)
    canvas = Image.new('RGB', (width, height), 'white')
    canvas.paste(Image.fromarray(picture), (0, 0))
    draw, left = ImageDraw.Draw(canvas), picture.shape[1] + _MARGIN
    for i, (name, color) in enumerate(zip(names, palette.tolist())):
        top = _MARGIN + i * _LINE
        draw.rectangle((left, top, left + _SIZE, top + _SIZE), fill=tuple(color), outline=(60, 60, 60))
        draw.text((left + _SIZE + _MARGIN, top - 1), name, fill=(30, 30, 30), font=font)
    return np.asarray(canvas)
