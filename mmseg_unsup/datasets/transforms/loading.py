"""Reading images and labels, with every fault named by its file."""
import io
from typing import Optional, Tuple, Type, Union

import cv2
import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine import fileio
from PIL.Image import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from ...registry import TRANSFORMS
from ...utils.checks import check_count
from ..errors import LabelError, UnreadableImageError
from ..labelled_dataset import INVALID_LABEL
from .tiff import decode_four_bands, hush_decoder, is_tiff, tiff_fault

# First bytes of JPEG and PNG, and the marker that closes a complete file. cv2 returns a picture with a grey rest for a
# cut JPEG.
_JPEG, _PNG = b'\xff\xd8', b'\x89P'
_END_MARKERS = {_JPEG: b'\xff\xd9', _PNG: b'IEND'}
_FILLING = 128  # of all channels, where the data of a JPEG are missing
_SCAN = b'\xda'  # kind of the segment that the pixels of a JPEG follow
# Scales at which libjpeg can decode, the smallest picture first.
_REDUCED_FLAGS = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
_EXIF_ORIENTATION, _EXIF_TRANSPOSED = 0x0112, (5, 6, 7, 8)


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Read ``img_path`` as an 8-bit, 3-channel BGR image; grey, palette, CMYK and 16-bit files are converted. A fourth
    channel is left out. Of TIFFs, those of more bits or of bands that are not marked as colours are refused.

    Sets ``img``, ``img_shape`` (of ``img``) and ``ori_shape`` (of the file, upright), (height, width) in pixels.

    Args:
        min_size: the shorter side of the file must have this many pixels.
        backend_args: of the mmengine file backend.
        strict: also refuse a JPEG whose data are damaged somewhere; each is decoded twice. Without it, of such files
            those are refused whose picture ends too early.
        reduce_to: decode a JPEG at 1/8, 1/4 or 1/2 of its size, the smallest of them that leaves the shorter side this
            many pixels: large photographs cost less to decode, and to resize afterwards. A decoded pixel stands for a
            block of pixels of the file; a side that the scale does not divide is rounded up. None, or a file that is
            no JPEG: always at full size.

    Attributes:
        loads: key of a sample that has the path of the file which transforms of this class read.

    Raises:
        ValueError: ``min_size`` or ``reduce_to`` is no whole number of pixels.
        UnreadableImageError: missing, empty, cut off, no image, or smaller than ``min_size``.
    """
    loads = 'img_path'

    def __init__(self, min_size: int = 16, backend_args: Optional[dict] = None,
                 reduce_to: Optional[int] = None, strict: bool = False) -> None:
        check_count('min_size', min_size)
        if reduce_to is not None:
            check_count('reduce_to', reduce_to)
        self.min_size = min_size
        self.backend_args = backend_args
        self.reduce_to = reduce_to
        self.strict = strict

    def transform(self, results: dict) -> dict:
        path = results['img_path']
        try:
            content = _read(path, self.backend_args)
            img, (height, width) = decode_image(content, self.reduce_to)
            if content[:2] == _JPEG and (self.strict or _may_end_early(img)):
                _check_jpeg(content, self.strict)
        except _Unreadable as fault:
            raise UnreadableImageError.of(path, str(fault)) from None
        if min(height, width) < self.min_size:
            raise UnreadableImageError.of(
                path, f'it has {width}x{height} pixels, and the shorter side must have at least {self.min_size}')
        results.update(img=img, img_shape=img.shape[:2], ori_shape=(height, width))
        return results


@TRANSFORMS.register_module()
class LoadLabels(BaseTransform):
    """Read ``seg_map_path`` and map it by the data set's ``label_table`` in one look-up.

    The values of a PNG with a palette, such as those of Pascal VOC, are its indices, not its colours.

    Sets ``gt_seg_map`` (uint8, as large as the file of the image) and appends it to ``seg_fields``.

    Raises:
        KeyError: the data set lists no labels.
        LabelError: the file cannot be read, has several channels or another size than the image, or holds a value that
            the data set does not define.
    """
    loads = 'seg_map_path'

    def __init__(self, backend_args: Optional[dict] = None) -> None:
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        if 'seg_map_path' not in results:
            raise KeyError(f'no label map is known for {results["img_path"]}: this data set has no labels; '
                           'set data_prefix.seg_map_path, or use a pipeline without LoadLabels')
        path = results['seg_map_path']
        raw = read_unchanged(path, f'the label map {path} of {results["img_path"]}', backend_args=self.backend_args)
        if raw.ndim != 2 or raw.dtype != np.uint8:
            raise LabelError(f'the label map {path} has shape {raw.shape} and type {raw.dtype}: expected one 8-bit '
                             'channel that holds class ids')
        if raw.shape != tuple(results['ori_shape']):  # not that of `img`, which may be decoded at a reduced scale
            raise LabelError(f'the label map {path} has size {raw.shape[::-1]}, but its image {results["img_path"]} '
                             f'has {tuple(results["ori_shape"][::-1])}')
        labels = results['label_table'][raw]
        if (labels == INVALID_LABEL).any():
            values = np.unique(raw[labels == INVALID_LABEL])
            raise LabelError(f'the label map {path} holds the value(s) {values.tolist()}, which the data set does not '
                             'define: check data_prefix.seg_map_path and the data set type')
        results['gt_seg_map'] = labels
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results


class _Unreadable(Exception):
    """Why a file gives no pixels; the callers say which file and what to do."""


def read_unchanged(path: str, title: str, error: Type[LabelError] = LabelError,
                   backend_args: Optional[dict] = None) -> np.ndarray:
    """(H, W) or (H, W, C) numbers as a file holds them, of a palette the indices.

    Args:
        title: of the file in messages.
        error: what is raised where the file cannot be read.
    """
    try:
        return _decode(_read(path, backend_args), 'unchanged')
    except _Unreadable as fault:
        raise error(f'cannot use {title}: {fault}') from None


def _read(path: str, backend_args: Optional[dict]) -> bytes:
    try:
        content = fileio.get(path, backend_args=backend_args)
    except OSError as error:
        raise _Unreadable(f'it cannot be opened ({error.strerror or error})') from None
    if not content:
        raise _Unreadable('it is empty (0 bytes)')
    return content


def decode_image(content: bytes, reduce_to: Optional[int] = None) -> Tuple[np.ndarray, Tuple[int, int]]:
    """Return the (h, w, 3) uint8 BGR image, at a reduced scale if it may be, and (height, width) of the upright
    file."""
    shape = None if reduce_to is None else _jpeg_shape(content)
    if shape is not None:
        scale = next((scale for scale in _REDUCED_FLAGS if min(shape) // scale >= reduce_to), 1)
        if scale > 1:
            img = _decode(content, _REDUCED_FLAGS[scale])
            # Pillow and cv2 may read a broken EXIF header differently; the size of the file would then be a guess
            if img.shape[:2] == tuple(-(-side // scale) for side in shape):
                return img, shape
    img = _decode_tiff(content) if is_tiff(content) else _decode(content, 'color')
    return img, img.shape[:2]


def _may_end_early(img: np.ndarray) -> bool:
    """Whether a corner is of the grey that a decoder puts where the data of a JPEG are missing; any corner, as the
    picture may have been turned upright."""
    return any((img[y, x] == _FILLING).all() for y in (0, -1) for x in (0, -1))


def _check_jpeg(content: bytes, strict: bool) -> None:
    """Decode a JPEG for faults alone; those of kinds that are not known here do not count unless ``strict``."""
    import simplejpeg  # few files need it
    try:
        simplejpeg.decode_jpeg(
            content, 'GRAY', fastdct=True, fastupsample=True, min_height=1, min_width=1, min_factor=8)
    except ValueError as error:
        if 'premature end' in str(error):
            raise _Unreadable('it is cut off: its data end before the picture') from None
        if strict:
            raise _Unreadable(f'its data are damaged ({error})') from None


def is_turned(image: Image) -> bool:
    """Whether width and height change places when an image is turned upright as its EXIF says."""
    return image.getexif().get(_EXIF_ORIENTATION) in _EXIF_TRANSPOSED


def _jpeg_shape(content: bytes) -> Optional[Tuple[int, int]]:
    """(height, width) of a JPEG by its header, turned upright as cv2 does; None for any other or broken file."""
    if content[:2] != _JPEG:
        return None
    try:
        header = JpegImageFile(io.BytesIO(content))  # decodes nothing, and never takes a large file for an attack
        transposed = is_turned(header)
    except Exception:  # Pillow has many types for a broken header; `_decode` says whether the picture can be used
        return None
    return header.size if transposed else header.size[::-1]


def _decode(content: bytes, flag: Union[int, str]) -> np.ndarray:
    marker = _END_MARKERS.get(bytes(content[:2]))
    if marker is not None and content.rfind(marker, _pixels_start(content)) < 0:
        raise _Unreadable('it is cut off')
    try:
        if flag == 'unchanged' and _has_palette(content):
            return np.array(PngImageFile(io.BytesIO(content)))  # the indices; cv2 only gives the colours
        img = mmcv.imfrombytes(content, flag=flag, backend='cv2')
    except Exception as error:  # cv2 raises its own type for some broken headers
        raise _Unreadable(f'it cannot be decoded ({type(error).__name__})') from None
    if img is None:
        raise _Unreadable('it is no image that can be decoded')
    return img


def _decode_tiff(content: bytes) -> np.ndarray:
    fault = tiff_fault(content)
    if fault:
        raise _Unreadable(f'{fault}: mmseg-unsup rasters makes pictures of such files')
    hush_decoder()
    try:
        img = decode_four_bands(content)
    except Exception as error:  # Pillow has many types for broken data
        raise _Unreadable(f'it cannot be decoded ({type(error).__name__})') from None
    return _decode(content, 'color') if img is None else img


def _pixels_start(content: bytes) -> int:
    """Where the header ends: that of a photograph may hold a small JPEG, complete with its end marker.

    Source: ITU-T T.81, B.1.1.4: a segment is FF, its kind, and its length in two bytes, which count themselves;
    any number of FF may come before.
    """
    start = 2
    while content[:2] == _JPEG and content[start:start + 1] == b'\xff' and content[start + 1:start + 2] != _SCAN:
        is_filling = content[start + 1:start + 2] == b'\xff'
        start += 1 if is_filling else 2 + int.from_bytes(content[start + 2:start + 4], 'big')
    return start


def _has_palette(content: bytes) -> bool:
    """Whether this is a PNG of colour type 3 (byte 25: PNG specification, 11.2.2)."""
    return content[:8] == b'\x89PNG\r\n\x1a\n' and content[25:26] == b'\x03'
