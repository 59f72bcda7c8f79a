"""Five parts of every image as images of their own."""
from typing import Tuple

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset

from ..registry import DATASETS, TRANSFORMS

N_CROPS = 5


@DATASETS.register_module()
class FiveCrops:
    """The four corners and the centre of every image of another data set, each with half its sides.

    No file is written: image ``5 i + c`` is crop ``c`` of image ``i``, which :class:`mmseg_unsup.CropPart` cuts out
    when it is read.

    Args:
        dataset: config or instance of the data set that lists the images.

    Source: crop_datasets.py of the released code of STEGO, which writes JPEG files.
    """

    def __init__(self, dataset: dict) -> None:
        self.dataset: BaseDataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset

    @property
    def metainfo(self) -> dict:
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Part of the interface of :class:`mmengine.dataset.BaseDataset`."""
        self.dataset.full_init()

    def __len__(self) -> int:
        return N_CROPS * len(self.dataset)

    def get_data_info(self, idx: int) -> dict:
        return dict(self.dataset.get_data_info(idx // N_CROPS), part=idx % N_CROPS)


@TRANSFORMS.register_module()
class CropPart(BaseTransform):
    """Cuts the part out of image and labels that :class:`FiveCrops` names."""

    def transform(self, results: dict) -> dict:
        for key in ('img', *results.get('seg_fields', [])):
            results[key] = crop_part(results[key], results['part'])
        results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
        return results


def crop_part(image: np.ndarray, part: int) -> np.ndarray:
    """(H, W, ...) -> one of its five parts of (H / 2, W / 2): corners row by row, then the centre."""
    (top, bottom), (left, right) = (_range(side, place) for side, place in zip(image.shape[:2], _PLACES[part]))
    return image[top:bottom, left:right]


_PLACES = ((0, 0), (0, 2), (2, 0), (2, 2), (1, 1))  # half of what is left over above and to the left of a part


def _range(side: int, place: int) -> Tuple[int, int]:
    size = max(1, side // 2)
    start = (side - size) * place // 2
    return start, start + size
