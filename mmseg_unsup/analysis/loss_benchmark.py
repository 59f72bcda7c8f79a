"""What the losses of MaskContrast cost beside the networks, for several kinds of anchors."""
from typing import Dict, Sequence, Union
from unittest import mock

import torch
from torch import Tensor, nn

from .stopwatch import cost_clock


def time_losses(model: nn.Module,
                batch_size: int = 32,
                size: int = 224,
                anchors: Sequence[Union[str, int]] = ('stride', 512, 'full'),
                repeats: int = 3) -> Dict[str, dict]:
    """Forward and backward pass of the losses, from maps of the networks, of stride 8, on.

    The objects are discs that cover a third of the view.

    Args:
        model: a :class:`mmseg_unsup.MaskContrast`, on the device to measure; its networks are not run.
        batch_size: N.
        size: pixels of the side of a view.
        anchors: values of ``anchor`` to compare.
        repeats: of which the fastest counts, after one that does not.

    Returns:
        dict: name of the anchors -> ``seconds`` of a batch (of CPU, or on the clock for a GPU) and ``peak_bytes`` on
        the device, 0 on a CPU.
    """
    device = model.queue.prototypes.device
    generator = torch.Generator().manual_seed(0)
    side, channels = -(-size // 8), model.queue.prototypes.size(1)
    shapes = ((batch_size, channels, side, side), (batch_size, 1, side, side), (batch_size, channels, side, side))
    query, saliency, key = (torch.randn(shape, generator=generator).to(device) for shape in shapes)
    masks = _disc(size).to(device).expand(batch_size, 2, size, size).contiguous()
    report = {}
    for anchor in anchors:
        if device.type == 'cuda':
            torch.cuda.reset_peak_memory_stats(device)
        with mock.patch.object(model, 'anchor', anchor):
            seconds = [_time_step(model, query, saliency, key, masks) for _ in range(1 + repeats)]
        peak = torch.cuda.max_memory_allocated(device) if device.type == 'cuda' else 0
        report[str(anchor)] = dict(seconds=min(seconds[1:]), peak_bytes=peak)
    return report


def _disc(size: int) -> Tensor:
    """A mask (size, size) uint8, a third of it 1."""
    offsets = (torch.arange(size) + 0.5) / size - 0.5
    return (offsets.square() + offsets[:, None].square() < 1 / 3 / torch.pi).byte()


def _time_step(model: nn.Module, query: Tensor, saliency: Tensor, key: Tensor, masks: Tensor) -> float:
    query, saliency = (x.clone().requires_grad_() for x in (query, saliency))
    now = cost_clock(query.device)
    start = now()
    losses = model.map_losses(query, saliency, key, masks)
    (losses['loss_contrast'] + losses['loss_saliency']).backward()
    return now() - start
