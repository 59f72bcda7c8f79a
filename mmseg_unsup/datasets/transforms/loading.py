"""Reading images and labels, with every fault named by its file."""
from typing import Optional

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine import fileio

from ...registry import TRANSFORMS
from ..errors import LabelError, UnreadableImageError
from ..labelled_dataset import INVALID_LABEL

# Markers that close a complete file. cv2 returns a picture with a grey rest for a cut JPEG.
_END_MARKERS = {b'\xff\xd8': b'\xff\xd9', b'\x89P': b'IEND'}


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Read ``img_path`` as an 8-bit, 3-channel BGR image; grey, palette, CMYK and 16-bit files are converted.

    Sets ``img``, ``img_shape`` and ``ori_shape``, as :class:`mmcv.transforms.LoadImageFromFile` does.

    Args:
        min_size: the shorter side must have this many pixels.
        backend_args: of the mmengine file backend.

    Raises:
        UnreadableImageError: missing, empty, cut off, no image, or smaller than ``min_size``.
    """

    def __init__(self, min_size: int = 16, backend_args: Optional[dict] = None) -> None:
        self.min_size = min_size
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        path = results['img_path']
        try:
            img = _decode(_read(path, self.backend_args), 'color')
        except _Unreadable as fault:
            raise UnreadableImageError.of(path, str(fault)) from None
        height, width = img.shape[:2]
        if min(height, width) < self.min_size:
            raise UnreadableImageError.of(
                path, f'it has {width}x{height} pixels, and the shorter side must have at least {self.min_size}')
        results.update(img=img, img_shape=(height, width), ori_shape=(height, width))
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(min_size={self.min_size})'


@TRANSFORMS.register_module()
class LoadLabels(BaseTransform):
    """Read ``seg_map_path`` and map it by the data set's ``label_table`` in one look-up.

    Sets ``gt_seg_map`` (uint8) and appends it to ``seg_fields``.

    Raises:
        KeyError: the data set lists no labels.
        LabelError: the file cannot be read, has several channels or another size than the image, or holds a value that
            the data set does not define.
    """

    def __init__(self, backend_args: Optional[dict] = None) -> None:
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        if 'seg_map_path' not in results:
            raise KeyError(f'no label map is known for {results["img_path"]}: this data set has no labels; '
                           'set data_prefix.seg_map_path, or use a pipeline without LoadLabels')
        path = results['seg_map_path']
        try:
            raw = _decode(_read(path, self.backend_args), 'unchanged')
        except _Unreadable as fault:
            raise LabelError(f'cannot use the label map {path} of {results["img_path"]}: {fault}') from None
        if raw.ndim != 2 or raw.dtype != np.uint8:
            raise LabelError(f'the label map {path} has shape {raw.shape} and type {raw.dtype}: expected one 8-bit '
                             'channel that holds class ids')
        if raw.shape != results['img'].shape[:2]:
            raise LabelError(f'the label map {path} has size {raw.shape[::-1]}, but its image {results["img_path"]} '
                             f'has {results["img"].shape[1::-1]}')
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


def _read(path: str, backend_args: Optional[dict]) -> bytes:
    try:
        content = fileio.get(path, backend_args=backend_args)
    except OSError as error:
        raise _Unreadable(f'it cannot be opened ({error.strerror or error})') from None
    if not content:
        raise _Unreadable('it is empty (0 bytes)')
    return content


def _decode(content: bytes, flag: str) -> np.ndarray:
    marker = _END_MARKERS.get(bytes(content[:2]))
    if marker is not None and content.rfind(marker) < 0:
        raise _Unreadable('it is cut off')
    try:
        img = mmcv.imfrombytes(content, flag=flag, backend='cv2')
    except Exception as error:  # cv2 raises its own type for some broken headers
        raise _Unreadable(f'it cannot be decoded ({type(error).__name__})') from None
    if img is None:
        raise _Unreadable('it is no image that can be decoded')
    return img
