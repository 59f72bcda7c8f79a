"""What a pass over the images needs of its loader, and what may be wrong with the features that it finds."""
from collections import deque
from typing import Any, Deque, Iterator, Optional, Tuple, Union

import torch
from mmengine.dataset import DefaultSampler
from mmengine.model import is_model_wrapper
from torch import Tensor
from torch.utils.data import DataLoader

from ..datasets import ViewDataset
from ..utils.checks import is_finite
from ..utils.devices import Readback, is_asynchronous

# answers of a GPU that may be out
_MAX_PENDING = 8


class NonFiniteError(ValueError):
    """A loss, gradient or feature that is infinite or no number."""


class CollapsedError(ValueError):
    """Features that tell nothing apart."""


class FiniteCheck:
    """Looks whether what a pass makes of its images is finite; at a GPU's answer a few batches later.

    Args:
        purpose: of the pass, for the message.
    """

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._pending: Deque[Tuple[Readback, list]] = deque()

    def look(self, values: Any, samples: list) -> None:
        """Raise NonFiniteError, with the images of the batch, if a tensor in ``values``, a container, or one of those
        before, is not finite."""
        sums = [tensor.sum(dtype=torch.float64) for tensor in _tensors(values) if tensor.is_floating_point()]
        if sums:
            self._pending.append((Readback(torch.stack(sums).isfinite().all()), samples))
            self.settle(_MAX_PENDING if is_asynchronous(sums[0].device) else 0)

    def settle(self, n_left: int = 0) -> None:
        """Read all answers but the last ``n_left``; errors as in :meth:`look`."""
        while len(self._pending) > n_left:
            answer, samples = self._pending.popleft()
            if not answer.wait():
                names = ', '.join(sample.img_path for sample in samples)
                raise NonFiniteError(f'{self._purpose}: the features of the batch {names} are not finite, so the '
                                     'weights are spoilt or too large: resume from an earlier checkpoint (--resume '
                                     'PATH) without --amp, or start a new run with a lower '
                                     'optim_wrapper.optimizer.lr')


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (dict, list, tuple)):
        for value in values.values() if isinstance(values, dict) else values:
            yield from _tensors(value)


def check_not_collapsed(centers: Tensor, purpose: str) -> None:
    """Raise CollapsedError if all (K, C) centres are zero: the features of all images are then."""
    if not centers.any():
        raise CollapsedError(f'{purpose}: the features of all images are zero, so the network has collapsed: look at '
                             'the loss in the log, and start a new run with a lower optim_wrapper.optimizer.lr')


def check_view_loader(dataloader: DataLoader, purpose: str) -> None:
    """Raise TypeError unless the loader has a ViewDataset, whose draws are keyed, and mmengine's DefaultSampler, whose
    order is known."""
    if not isinstance(dataloader.dataset, ViewDataset):
        raise TypeError(f'{purpose} needs a dataset of type mmseg_unsup.ViewDataset, but got '
                        f'{type(dataloader.dataset).__name__}: wrap it, dict(type="mmseg_unsup.ViewDataset", '
                        'dataset=..., pipeline=...)')
    if not isinstance(dataloader.sampler, DefaultSampler):
        raise TypeError(f'{purpose} needs sampler=dict(type="DefaultSampler"), but got '
                        f'{type(dataloader.sampler).__name__}, whose order over ranks is not known')


def set_view_key(dataloader: DataLoader, seed: int, epoch: int) -> None:
    """Fix order and views of an epoch, in this process and in all workers."""
    dataloader.sampler.set_epoch(epoch)
    dataloader.dataset.set_key(seed, epoch)


def unwrap(model: torch.nn.Module) -> torch.nn.Module:
    """The model inside a distributed wrapper."""
    return model.module if is_model_wrapper(model) else model


def limit_images(dataloader: DataLoader, max_images: Optional[Union[int, float]]) -> int:
    """Number of images of a pass: ``max_images`` of them, or that share of them, or all for None.

    The pass takes the first ones in the order of the epoch, so the loader must shuffle.

    Raises:
        ValueError: not positive, a share above 1, or a loader that does not shuffle.
    """
    n_images = len(dataloader.dataset)
    if max_images is None:
        return n_images
    if not is_finite(max_images) or max_images <= 0 or isinstance(max_images, float) and max_images > 1:
        raise ValueError(f'max_images must be "auto", None, a positive number of images or a share in (0, 1], but it '
                         f'is {max_images!r}')
    limit = max(1, round(max_images * n_images)) if isinstance(max_images, float) else min(max_images, n_images)
    if limit < n_images and not dataloader.sampler.shuffle:
        raise ValueError(f'max_images={max_images} would always take the same first images: set shuffle=True in the '
                         'sampler of the data loader')
    return limit
