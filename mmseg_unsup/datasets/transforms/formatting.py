"""Packing views for the model."""
from typing import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmseg.structures import SegDataSample

from ...registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackViews(BaseTransform):
    """``inputs``: a list of V (3, H, W) uint8 tensors; ``data_samples``: the recorded geometry as metainfo.

    Args:
        meta_keys: keys to carry along where the sample has them.
    """

    def __init__(
        self, meta_keys: Sequence[str] = ('img_path', 'sample_idx', 'replaced', 'ori_shape', 'crop_box',
                                          'flip')) -> None:
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        inputs = [
            torch.from_numpy(np.ascontiguousarray(view['img'].transpose(2, 0, 1))) for view in results['views']
        ]
        sample = SegDataSample(metainfo={key: results[key] for key in self.meta_keys if key in results})
        return dict(inputs=inputs, data_samples=sample)
