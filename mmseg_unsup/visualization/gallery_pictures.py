"""The pictures of a gallery, as bytes that a page can carry."""
import zlib
from typing import Dict, Sequence, Tuple

import cv2
import numpy as np

# Of a JPEG; the lower ones are for pages that would become too large.
QUALITIES = (82, 65, 50, 35, 20)
# A place shows so much of the shorter side of its image, whatever its cell's size.
CONTEXT = 0.22


def encode_jpeg(picture: np.ndarray, quality: int = QUALITIES[0]) -> bytes:
    """(H, W, 3) uint8 RGB -> the bytes of a file."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    return cv2.imencode('.jpg', picture[..., ::-1], settings)[1].tobytes()


def fitted_size(shape: Sequence[int], side: int) -> Tuple[int, int]:
    """(height, width) of a picture whose longer side is at most ``side``, the aspect kept."""
    scale = min(1., side / max(shape[:2]))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def shrunk(picture: np.ndarray, side: int) -> np.ndarray:
    """The same."""
    height, width = fitted_size(picture.shape, side)
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def pack_ids(clusters: np.ndarray, side: int, n_clusters: int) -> bytes:
    """(H, W) ids -> those of the shrunk picture, row by row, 8 bits each (16, little endian, from 257 clusters on), as
    a zlib stream."""
    height, width = fitted_size(clusters.shape, side)
    ids = cv2.resize(clusters.astype(np.int16), (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return zlib.compress(ids.astype('<u2' if n_clusters > 256 else np.uint8).tobytes(), 9)


def cut_place(picture: np.ndarray, box: Sequence[float], side: int) -> np.ndarray:
    """A square around a box, with some of what surrounds it, moved into the picture where it would leave it.

    Args:
        picture: (H, W, 3).
        box: x1, y1, x2, y2 in fractions of the picture.
        side: of the result, (side, side, 3).
    """
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = np.array(box) * (width, height, width, height)
    extent = round(min(max(1.1 * (x2 - x1), 1.1 * (y2 - y1), CONTEXT * min(height, width), 1), height, width))
    left = round(np.clip((x1 + x2 - extent) / 2, 0, width - extent))
    top = round(np.clip((y1 + y2 - extent) / 2, 0, height - extent))
    square = picture[top:top + extent, left:left + extent]
    shrinks = extent > side
    return cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def fit_jpegs(jpegs: Dict[object, bytes], max_bytes: int) -> Dict[object, bytes]:
    """JPEGs of as high a quality as fits into ``max_bytes`` together; of the lowest where none does."""
    fitted = jpegs
    for quality in QUALITIES[1:]:
        if sum(map(len, fitted.values())) <= max_bytes:
            break
        fitted = {key: _recoded(jpeg, quality) for key, jpeg in jpegs.items()}
    return fitted


def _recoded(jpeg: bytes, quality: int) -> bytes:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return encode_jpeg(picture[..., ::-1], quality)
