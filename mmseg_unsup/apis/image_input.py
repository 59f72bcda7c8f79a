"""What an inferencer is given, as pictures; a picture that memory does not hold is refused before it is decoded."""
import io
import os
import os.path as osp
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
from PIL import Image, ImageOps

from ..datasets.errors import UnreadableImageError
from ..datasets.image_files import IMAGE_SUFFIXES, find_images
from ..datasets.pictures import by_header, header_shape
from ..datasets.transforms.loading import LoadImage, decode_image, is_turned
from ..utils import memory
from ..utils.paths import path_remedy
from ..utils.progress import track_progress

InputType = Union[str, os.PathLike, np.ndarray, Image.Image]
Entry = Union[str, np.ndarray, Image.Image]
BytesNeeded = Callable[[Tuple[int, int]], int]  # of an image of (H, W) pixels
_CV2_LIMIT = 2**30  # pixels that OpenCV decodes
_WAITING_BYTES = 16  # of a pixel
_READERS = 4  # threads; decoding releases the interpreter
_LOAD = LoadImage()  # as trainings read
# modes of PIL images: of files, that become RGB, and how Pillow before 11 opens files of 16 bits
_OF_PNG = ('1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'I;16')
_AS_RGB = ('CMYK', 'YCbCr', 'HSV', 'RGBX', 'PA')
_AS_16_BITS = 'I'
TILES = 'use (smaller) tiles, as by --tile 512, or '


class Picture(NamedTuple):
    """A decoded input."""
    path: Optional[str]  # None of an array or a PIL image
    image: np.ndarray  # (H, W, 3) uint8 BGR
    number: int = 0  # among those that could be decoded
    packed: Optional[dict] = None  # as the network sees it whole

    @property
    def rgb(self) -> np.ndarray:
        """A copy of the image in RGB."""
        return np.ascontiguousarray(self.image[..., ::-1])


def list_inputs(inputs: Union[InputType, Sequence[InputType]]) -> List[Entry]:
    """Paths that exist, arrays and PIL images, one at least; a folder stands for all images below it."""
    if not isinstance(inputs, (list, tuple)):
        inputs = [inputs]
    listed = []
    for entry in inputs:
        if isinstance(entry, np.ndarray):
            if entry.ndim != 3 or entry.shape[2] != 3 or entry.dtype != np.uint8 or not entry.size:
                raise TypeError(f'an image has shape {entry.shape} and type {entry.dtype}: expected (height, width, 3) '
                                'uint8 in the order BGR, as OpenCV reads files')
            listed.append(entry)
        elif isinstance(entry, Image.Image):
            _check_pil_image(entry)
            listed.append(entry)
        elif isinstance(entry, (str, os.PathLike)):
            listed.extend(_list_path(os.fspath(entry)))
        else:
            raise TypeError(f'an image is given as {type(entry).__name__}: expected a path, a folder, an array or a '
                            'PIL image')
    if not listed:
        raise ValueError('no image was given: expected a path, a folder, an array, a PIL image or a list of these')
    return listed


def read_picture(entry: Entry, bytes_needed: BytesNeeded) -> Picture:
    """Decode an input that memory holds; UnreadableImageError if it cannot be used.

    Args:
        bytes_needed: see :func:`check_fits`.
    """
    check_fits(entry, bytes_needed, TILES)
    if isinstance(entry, np.ndarray):
        return Picture(None, entry)
    if isinstance(entry, Image.Image):
        return Picture(None, read_pil_image(entry))
    return Picture(entry, LoadImage(min_size=1).transform(dict(img_path=entry))['img'])


def check_fits(entry: Entry, bytes_needed: BytesNeeded, remedy: str = '') -> None:
    """Raise MemoryError if an input, a file by its header, needs more memory than there is.

    Args:
        bytes_needed: (height, width) -> bytes of memory that predicting it takes, with what was decoded.
        remedy: besides cutting the file in parts.
    """
    shape = shape_of(entry)
    if shape is None:
        return
    n_pixels = shape[0] * shape[1]
    name = entry if isinstance(entry, str) else 'a PIL image' if isinstance(entry, Image.Image) else 'an array'
    size = f'{name} has {shape[1]}x{shape[0]} pixels ({n_pixels / 1e6:.0f} million)'
    if n_pixels > _CV2_LIMIT:
        raise MemoryError(f'{size}, and OpenCV decodes {_CV2_LIMIT / 1e6:.0f} million at most: cut the file in parts')
    memory.check_memory(f'{size}, which', bytes_needed(shape), f'{remedy}cut the file in parts')


def shape_of(entry: Entry) -> Optional[Tuple[int, int]]:
    """(height, width) of an input, a file by its header; None where that cannot be read."""
    if isinstance(entry, str):
        return header_shape(entry)
    return entry.size[::-1] if isinstance(entry, Image.Image) else entry.shape[:2]


def pixels_ahead() -> int:
    """Pixels of all pictures that may wait, decoded, until their turn comes: those that fill an eighth of the free
    memory, results included."""
    return (memory.available_memory() or 2**32) // (8 * _WAITING_BYTES)


def unreadable_images(paths: Sequence[str], bytes_needed: BytesNeeded) -> List[str]:
    """Why images cannot be used, a sentence for each that cannot; all are decoded.

    Args:
        bytes_needed: see :func:`check_fits`, which is asked first.
    """
    for path in paths:
        check_fits(path, bytes_needed)
    with ThreadPoolExecutor(_READERS) as pool, track_progress('checking images', len(paths)) as advance:
        faults = []
        for fault in pool.map(_fault, paths):
            faults += fault
            advance(1)
    return faults


def _fault(path: str) -> List[str]:
    try:
        _LOAD(dict(img_path=path))
        return []
    except UnreadableImageError as error:
        return [str(error)]


def _list_path(path: str) -> List[str]:
    if osp.isdir(path):
        return find_images(path)
    if not osp.exists(path):
        raise FileNotFoundError(f'there is no image or folder {path!r}: ' + path_remedy(
            path, lambda other: osp.isdir(other) or other.endswith(IMAGE_SUFFIXES)))
    return [path]


def upright_shape(path: str) -> Optional[Tuple[int, int]]:
    """(height, width) of the picture that :class:`LoadImage` reads, which may be turned as EXIF says; None where it
    cannot be read."""
    found = by_header(path, lambda image: (image.size[::-1], is_turned(image), image.format))
    if found is None:
        return None
    shape, turned, kind = found
    if turned and kind != 'JPEG':  # releases of OpenCV and Pillow differ
        return None if _fault(path) else _LOAD(dict(img_path=path))['ori_shape']
    return shape[::-1] if turned else shape


def _check_pil_image(image: Image.Image) -> None:
    """Raise TypeError if an image has no pixels, or of a kind that no file of photographs has."""
    if image.mode not in (*_OF_PNG, *_AS_RGB, _AS_16_BITS) or not min(image.size):
        raise TypeError(f'a PIL image has mode {image.mode!r} and {image.width}x{image.height} pixels: expected one '
                        f'with pixels, of mode {", ".join((*_OF_PNG, *_AS_RGB))}; image.convert("RGB") makes one of '
                        'most')


def read_pil_image(image: Image.Image) -> np.ndarray:
    """(H, W, 3) uint8 BGR of an image: what :class:`LoadImage` reads from the PNG that it is saved as, after it was
    turned upright as its EXIF says and, of a mode that PNG does not have, converted to RGB; UnreadableImageError if
    its file is cut off, closed or damaged."""
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
    return decode_image(file.getvalue())[0]
