"""Batches of several views."""
from typing import Any, Dict

import torch
from mmseg.models import SegDataPreProcessor

from ..datasets.transforms.formatting import stack_images
from ..registry import MODELS


@MODELS.register_module()
class MultiViewDataPreProcessor(SegDataPreProcessor):
    """Stacks and normalises every view of a batch; batches of single images go to mmseg's preprocessor.

    Views travel to the device as uint8, are normalised there, and are channels-last in memory.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._non_blocking = True  # from pinned memory the copy runs beside the kernels; from any other it waits

    def forward(self, data: dict, training: bool = False) -> Dict[str, Any]:
        """``inputs``: V uint8 tensors (N, 3, H, W), or lists of N (3, H, W), -> a list of V (N, 3, H, W) float32.
        Views that are :class:`StoredImages` only learn the device.

        Raises:
            ValueError: single images of different sizes in one batch.
        """
        if isinstance(data['inputs'][0], torch.Tensor) and data['inputs'][0].dim() == 3:
            sizes = {tuple(image.shape[1:]) for image in data['inputs']}
            if len(sizes) > 1:
                raise ValueError(f'the images of one batch differ in size ({sorted(sizes)[:2]} ...): set batch_size=1 '
                                 'of this data loader')
            return super().forward(data, training)
        views = [view if hasattr(view, 'to') else stack_images(view) for view in data['inputs']]
        data = self.cast_data(dict(data, inputs=views))
        views = [self._normalize(view) if isinstance(view, torch.Tensor) else view.to(self.device)
                 for view in data['inputs']]  # the others have no pixels
        return dict(inputs=views, data_samples=data.get('data_samples'))

    def _normalize(self, images: torch.Tensor) -> torch.Tensor:
        if self._channel_conversion:
            images = images.flip(1)
        images = images.float()
        if self._enable_normalize:
            images = (images - self.mean) / self.std
        return images
