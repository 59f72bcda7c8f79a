"""Which TIFFs are pictures. Those of satellites, planes and microscopes may hold other numbers and other bands."""
import io
from typing import Dict, List, Optional

import cv2
import numpy as np
from PIL import ImageOps
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from ...utils.console import counted

_STARTS = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')  # the last two of BigTIFF
_LARGE = 43  # third or fourth byte of BigTIFF, whose header is twice as long
# tags of TIFF 6.0, and values of them
_BITS, _COLOURS, _N_BANDS, _FURTHER, _KIND = 258, 262, 277, 338, 339
_GREY, _RGB, _ALPHA, _WHOLE, _UNDEFINED = (0, 1), 2, (1, 2), 1, 4
_DEFAULTS = {_BITS: 1, _COLOURS: 1, _N_BANDS: 1, _FURTHER: (), _KIND: _WHOLE}


def is_tiff(content: bytes) -> bool:
    """Whether a file begins as TIFFs do."""
    return bytes(content[:4]) in _STARTS


def tiff_fault(content: bytes) -> str:
    """Why a TIFF is no picture, '' if it is one: 8 bits, and one band or such as are marked as colours.

    OpenCV reads more, but not as anyone would expect: of bands that are not marked the first one, of 16 bits the upper
    8, which leaves sensors of 12 bits nearly black.
    """
    tags = _tags(content)
    if tags is None:
        return ''  # whoever decodes it says what is wrong
    bits, n_bands = max(tags[_BITS]), max(tags[_N_BANDS])
    n_colours = n_bands - sum(kind in _ALPHA for kind in tags[_FURTHER])
    if bits > 8 or not {*tags[_KIND]} <= {_WHOLE, _UNDEFINED}:
        return f'it has {counted(n_bands, "band")} of {bits} bits, and a picture has values from 0 to 255'
    if n_bands > 4 or n_colours > 1 and tags[_COLOURS][0] in _GREY:
        return f'it has {n_bands} bands, of which none are marked as red, green and blue'
    return ''


def decode_four_bands(content: bytes) -> Optional[np.ndarray]:
    """(h, w, 3) uint8 BGR of a TIFF with red, green, blue and a fourth band, which is left out as that of PNGs is; None
    of any other. OpenCV multiplies the colours by it, be it near infrared."""
    tags = _tags(content)
    if tags is None or (*tags[_COLOURS], *tags[_N_BANDS]) != (_RGB, 4):
        return None
    upright = ImageOps.exif_transpose(TiffImageFile(io.BytesIO(content)))
    return np.ascontiguousarray(np.asarray(upright)[..., 2::-1])


def hush_decoder() -> None:
    """OpenCV prints a line for every tag that it does not know, such as those of coordinates."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)


def _tags(content: bytes) -> Optional[Dict[int, List[int]]]:
    """Values of the tags of the first picture; None if they cannot be read."""
    head = bytes(content[:16 if _LARGE in content[2:4] else 8])
    file = io.BytesIO(content)
    try:
        tags = ImageFileDirectory_v2(head)
        file.seek(tags.next)
        tags.load(file)
        return {tag: np.ravel(tags.get(tag, default)).astype(int).tolist() for tag, default in _DEFAULTS.items()}
    except Exception:  # Pillow has many types for a broken header
        return None
