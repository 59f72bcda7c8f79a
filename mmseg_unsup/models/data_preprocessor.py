"""Batches of several views."""
from typing import Any, Dict

import torch
from mmseg.models import SegDataPreProcessor

from ..registry import MODELS


@MODELS.register_module()
class MultiViewDataPreProcessor(SegDataPreProcessor):
    """Stacks and normalises every view of a batch; batches of single images go to mmseg's preprocessor.

    Views travel to the device as uint8 and are normalised there.
    """

    def forward(self, data: dict, training: bool = False) -> Dict[str, Any]:
        """``inputs``: V lists of N (3, H, W) uint8 tensors -> a list of V (N, 3, H, W) float32 tensors.

        Raises:
            ValueError: single images of different sizes in one batch.
        """
        if isinstance(data['inputs'][0], torch.Tensor):
            sizes = {tuple(image.shape[1:]) for image in data['inputs']}
            if len(sizes) > 1:
                raise ValueError(f'the images of one batch differ in size ({sorted(sizes)[:2]} ...): set batch_size=1 '
                                 'of this data loader')
            return super().forward(data, training)
        data = self.cast_data(data)
        inputs = [self._normalize(torch.stack(list(view))) for view in data['inputs']]
        return dict(inputs=inputs, data_samples=data.get('data_samples'))

    def _normalize(self, images: torch.Tensor) -> torch.Tensor:
        if self._channel_conversion:
            images = images.flip(1)
        images = images.float()
        if self._enable_normalize:
            images = (images - self.mean) / self.std
        return images
