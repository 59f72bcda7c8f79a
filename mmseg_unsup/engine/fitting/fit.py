"""One pass over the images for all that is fitted to their features."""
import math
from abc import ABCMeta, abstractmethod
from typing import Iterator, Optional, Sequence, Tuple, Union

import torch
from torch.utils.data import DataLoader

from ...utils.preemption import stop_if_asked
from ...utils.progress import track_progress
from ..feature_pass import FiniteCheck, limit_images, set_view_key
from ..forecast import count_cells
from .batch import FeatureBatch


# Cells of an image count as no more: those of a finer map repeat each other.
MAX_CELLS = 1024


class Fit(metaclass=ABCMeta):
    """Something that is fitted to the features of images in one pass, which others may share.

    All ranks call :meth:`begin`, :meth:`add` for every batch and :meth:`finish` alike, so each may be collective.

    Attributes:
        name: of what is fitted, for the progress display and messages.
        max_images: images, or as a float the share of them, that it wants; None for all; ``'auto'`` for
            :meth:`needed_images`.
    """

    name = ''
    max_images: Union[int, float, str, None] = None
    _n_cells: Optional[int] = None  # of an image

    def count_images(self, model: torch.nn.Module, dataloader: DataLoader) -> int:
        """Number of images that it wants of those of the loader."""
        if self.max_images != 'auto':
            return limit_images(dataloader, self.max_images)
        n_images = len(dataloader.dataset)
        # without a shuffle the first ones would be the same in every epoch
        return min(n_images, self.needed_images(model, dataloader)) if dataloader.sampler.shuffle else n_images

    def needed_images(self, model: torch.nn.Module, dataloader: DataLoader) -> int:
        """Number of images that are enough, by :meth:`needed_cells`."""
        needed, n_images = self.needed_cells(model), len(dataloader.dataset)
        if n_images * MAX_CELLS <= needed:
            return n_images
        if self._n_cells is None:
            self._n_cells = count_cells(model, dataloader)
        return math.ceil(needed / min(MAX_CELLS, self._n_cells))

    def needed_cells(self, model: torch.nn.Module) -> int:
        """Number of feature cells that are enough, whatever the number of images."""
        raise ValueError(f'{type(self).__name__} has no rule for max_images="auto": set a number, a share or None')

    @abstractmethod
    def begin(self, model: torch.nn.Module, n_images: int, key: Tuple[int, ...], device: torch.device) -> None:
        """Forget an earlier fit; expect so many images over all ranks. ``key`` is that of all random choices."""

    @abstractmethod
    def add(self, batch: FeatureBatch) -> None:
        """Take the images of a batch that count; there may be none."""

    @abstractmethod
    def finish(self) -> None:
        """Fit; the result is the same on all ranks."""


def feature_batches(model: torch.nn.Module,
                    dataloader: DataLoader,
                    description: str,
                    n_images: Optional[int] = None) -> Iterator[FeatureBatch]:
    """Yield a :class:`FeatureBatch` for every batch of this rank's share of the images, also where none counts.

    A batch is a safe point: a run that got a signal stops there (:mod:`mmseg_unsup.utils.preemption`).

    Args:
        model: unwrapped; in its present mode.
        description: of the progress display.
        n_images: stop after so many images of the order, over all ranks; all by default.
    """
    n_images = n_images or len(dataloader.dataset)
    end, check = 0, FiniteCheck(description)
    with track_progress(description, n_images) as advance:
        for data in dataloader:
            data = model.data_preprocessor(data, True)
            batch = FeatureBatch(model, data['inputs'], data['data_samples'], end, check)
            yield batch.before(n_images)
            advance(min(batch.end - batch.start, n_images))
            stop_if_asked()
            end = batch.end
            if end >= n_images:  # the same batch on all ranks: synchronised batch norm needs all
                break
        check.settle()


@torch.no_grad()
def fit_on_pass(fits: Sequence[Fit],
                model: torch.nn.Module,
                dataloader: DataLoader,
                key: Sequence[int]) -> None:
    """Fit all to one pass over the images, in the present mode of the model.

    Args:
        model: unwrapped.
        key: of all random choices, ``(seed, )`` or ``(seed, epoch)``.
    """
    set_view_key(dataloader, *[*key, 0][:2])
    numbers = [fit.count_images(model, dataloader) for fit in fits]
    device = model.data_preprocessor.device
    for fit, n_images in zip(fits, numbers):
        fit.begin(model, n_images, tuple(key), device)
    description = ', '.join(dict.fromkeys(fit.name for fit in fits))
    for batch in feature_batches(model, dataloader, description, max(numbers)):
        for fit, n_images in zip(fits, numbers):
            if batch.start < n_images:
                _add(fit, batch.before(n_images))
    for fit in fits:
        fit.finish()


def _add(fit: Fit, batch: FeatureBatch) -> None:
    """Of features that are not finite, the fit does not know the images."""
    try:
        fit.add(batch)
    except ValueError:
        batch.check.settle()
        raise
