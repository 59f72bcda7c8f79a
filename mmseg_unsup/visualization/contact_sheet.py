"""Pictures in rows and columns, with a caption over each column."""
from typing import List, Sequence

import cv2
import numpy as np

_MARGIN, _CAPTION = 6, 24


def contact_sheet(rows: Sequence[Sequence[np.ndarray]], captions: Sequence[str], tile: int = 160) -> np.ndarray:
    """Lay pictures out on white.

    Args:
        rows: per row, one (H, W, 3) uint8 RGB picture per caption.
        captions: text over each column.
        tile: height and width of a cell; pictures are fitted into it with their aspect kept.

    Returns:
        (H', W', 3) uint8 RGB.
    """
    if not rows:
        raise ValueError('a contact sheet needs at least one row')
    pitch = tile + _MARGIN
    sheet = np.full((_CAPTION + len(rows) * pitch, _MARGIN + len(captions) * pitch, 3), 255, np.uint8)
    for c, caption in enumerate(captions):
        cv2.putText(sheet, caption, (_MARGIN + c * pitch + 2, _CAPTION - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45,
                    (40, 40, 40), 1, cv2.LINE_AA)
    for r, pictures in enumerate(rows):
        if len(pictures) != len(captions):
            raise ValueError(f'row {r} has {len(pictures)} pictures for {len(captions)} captions')
        for c, picture in enumerate(pictures):
            fitted = _fit(picture, tile)
            top, left = _CAPTION + r * pitch, _MARGIN + c * pitch
            sheet[top:top + fitted.shape[0], left:left + fitted.shape[1]] = fitted
    return sheet


def _fit(picture: np.ndarray, tile: int) -> np.ndarray:
    height, width = picture.shape[:2]
    scale = tile / max(height, width)
    size: List[int] = [max(1, round(width * scale)), max(1, round(height * scale))]
    # nearest: interpolating a colour-coded map would invent colours
    return cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA)
