"""PIL images as pictures, with the values that their files have."""
import io

import numpy as np
from PIL import Image, ImageOps

from ..datasets.errors import UnreadableImageError
from ..datasets.transforms.loading import decode_image

_OF_PNG = ('1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'I;16')
_AS_RGB = ('CMYK', 'YCbCr', 'HSV', 'RGBX', 'PA')
_AS_16_BITS = 'I'  # how Pillow before 11 opens files of 16 bits


def check_pil_image(image: Image.Image) -> None:
    """Raise TypeError if an image has no pixels, or of a kind that no file of photographs has."""
    if image.mode not in (*_OF_PNG, *_AS_RGB, _AS_16_BITS) or not min(image.size):
        raise TypeError(f'a PIL image has mode {image.mode!r} and {image.width}x{image.height} pixels: expected one '
                        f'with pixels, of mode {", ".join((*_OF_PNG, *_AS_RGB))}; image.convert("RGB") makes one of '
                        'most')


def read_pil_image(image: Image.Image) -> np.ndarray:
    """(H, W, 3) uint8 BGR of an image: what :class:`LoadImage` reads from the PNG that it is saved as, after it was
    turned upright as its EXIF says and, of a mode that PNG does not have, converted to RGB.

    Raises:
        UnreadableImageError: its file is cut off, closed or damaged.
    """
    try:
        image = ImageOps.exif_transpose(image)
        if image.mode in _AS_RGB:
            image = image.convert('RGB')
        elif image.mode == _AS_16_BITS:
            image = Image.fromarray(np.clip(np.asarray(image), 0, 2**16 - 1).astype(np.uint16))
        file = io.BytesIO()
        image.save(file, 'PNG', compress_level=0, exif=b'')
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableImageError.of(getattr(image, 'filename', '') or 'given as a PIL image',
                                      f'Pillow cannot decode it ({error})') from None
    return decode_image(file.getvalue())
