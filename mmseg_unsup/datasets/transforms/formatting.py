"""Packing views for the model."""
from typing import List, Optional, Sequence, Union

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from ...registry import FUNCTIONS, TRANSFORMS
from ..feature_store import StoredImages


@TRANSFORMS.register_module()
class PackViews(BaseTransform):
    """``inputs``: a list of V (3, H, W) uint8 tensors; ``data_samples``: the recorded geometry as metainfo.

    Labels, where the pipeline loaded them, become ``gt_sem_seg`` (1, H, W) uint8.

    Args:
        meta_keys: keys to carry along where the sample has them.
    """

    def __init__(
        self, meta_keys: Sequence[str] = ('img_path', 'sample_idx', 'replaced', 'ori_shape', 'crop_box',
                                          'flip')) -> None:
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        # (3, H, W) tensors that stay H x W x 3 in memory: batches of them are channels-last without another copy
        inputs = [torch.from_numpy(np.ascontiguousarray(view['img'])).permute(2, 0, 1) for view in results['views']]
        sample = SegDataSample(metainfo={key: results[key] for key in self.meta_keys if key in results})
        if 'gt_seg_map' in results:
            labels = np.ascontiguousarray(results['gt_seg_map'])[None]
            sample.set_data(dict(gt_sem_seg=PixelData(data=torch.from_numpy(labels))))
        return dict(inputs=inputs, data_samples=sample)


def stack_images(images: Sequence[Union[torch.Tensor, StoredImages]]) -> Union[torch.Tensor, StoredImages]:
    """N tensors (3, H, W) -> one (N, 3, H, W) in channels-last memory; N stored images -> all in one."""
    if isinstance(images[0], StoredImages):
        return torch.cat(list(images))
    return torch.stack([image.permute(1, 2, 0) for image in images]).permute(0, 3, 1, 2)


@FUNCTIONS.register_module()
def stack_views(samples: List[dict], _scope_: Optional[str] = None) -> dict:
    """Collate packed views in the data worker: ``inputs`` becomes V tensors (N, 3, H, W) uint8.

    One tensor per view is pinned and copied to the device at once, where a list would be N small copies. For
    ``collate_fn`` of a data loader.

    Args:
        _scope_: not used; mmengine hands it on from a config that was inherited by ``mmseg_unsup::``.
    """
    views = zip(*(sample['inputs'] for sample in samples))
    return dict(inputs=[stack_images(view) for view in views], data_samples=[s['data_samples'] for s in samples])
