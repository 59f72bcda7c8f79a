"""One pass over the images of a loader, as features at their global positions."""
from contextlib import nullcontext
from typing import Callable, ContextManager, Iterator, List, Optional, Tuple, Union

import torch
from mmengine.dataset import DefaultSampler
from mmengine.dist import get_dist_info
from mmengine.model import is_model_wrapper
from torch import Tensor
from torch.utils.data import DataLoader

from ..datasets import ViewDataset
from ..utils.checks import is_finite
from ..utils.progress import track_progress
from .preemption import stop_if_asked


class NonFiniteError(ValueError):
    """A loss, gradient or feature that is infinite or no number."""


class CollapsedError(ValueError):
    """Features that tell nothing apart."""


def check_finite(feats: List[Tensor], samples: list, purpose: str) -> None:
    """Features that are no numbers would make clusters that are none.

    Raises:
        NonFiniteError: names the images of the batch.
    """
    tensors = [tensor for feat in feats for tensor in (feat if isinstance(feat, list) else [feat])]
    if all(bool(tensor.sum(dtype=torch.float64).isfinite()) for tensor in tensors if tensor.is_floating_point()):
        return
    names = ', '.join(sample.img_path for sample in samples)
    raise NonFiniteError(f'{purpose}: the features of the batch {names} are not finite, so the weights are spoilt or '
                         'too large: resume from an earlier checkpoint (--resume PATH) without --amp, or start a new '
                         'run with a lower optim_wrapper.optimizer.lr')


def check_not_collapsed(centers: Tensor, purpose: str) -> None:
    """Clusters of features that are all zero are none.

    Raises:
        CollapsedError: all (K, C) centres are zero.
    """
    if not centers.any():
        raise CollapsedError(f'{purpose}: the features of all images are zero, so the network has collapsed: look at '
                             'the loss in the log, and start a new run with a lower optim_wrapper.optimizer.lr')


def check_view_loader(dataloader: DataLoader, purpose: str) -> None:
    """The pass needs a ViewDataset, whose draws are keyed, and mmengine's DefaultSampler, whose order is known.

    Raises:
        TypeError: it is something else.
    """
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
        raise ValueError(f'max_images must be None, a positive number of images or a share in (0, 1], but it is '
                         f'{max_images!r}')
    limit = max(1, round(max_images * n_images)) if isinstance(max_images, float) else min(max_images, n_images)
    if limit < n_images and not dataloader.sampler.shuffle:
        raise ValueError(f'max_images={max_images} would always take the same first images: set shuffle=True in the '
                         'sampler of the data loader')
    return limit


@torch.no_grad()
def iterate_features(model: torch.nn.Module,
                     dataloader: DataLoader,
                     extract: Callable[[list, list], List[Tensor]],
                     description: str,
                     n_images: Optional[int] = None,
                     precision: Callable[[], ContextManager] = nullcontext) -> Iterator[Tuple[List[int], List[Tensor]]]:
    """Yield ``(positions, features)`` per batch of this rank's share of the images.

    A position is the place of an image in the global order of the sampler: rank r of W holds r, r + W, r + 2 W, ...
    Images that the sampler repeats to fill up the last round, and stand-ins for unreadable images, are left out.

    A batch is a safe point: a run that got a signal stops there (:mod:`mmseg_unsup.engine.preemption`).

    Args:
        model: supplies ``data_preprocessor``; unwrapped.
        extract: ``(views, data_samples)`` -> V feature maps (N, C, h, w), or lists with an entry per image.
        description: of the progress display.
        n_images: stop after so many images of the order, over all ranks; all by default.
        precision: makes the context that ``extract`` runs in, such as autocast.
    """
    rank, world_size = get_dist_info()
    n_images = n_images or len(dataloader.dataset)
    ordinal = 0
    with track_progress(description, n_images) as advance:
        for batch in dataloader:
            batch = model.data_preprocessor(batch, True)
            samples = batch['data_samples']
            with precision():
                feats = extract(batch['inputs'], samples)
            check_finite(feats, samples, description)
            positions = [rank + world_size * (ordinal + i) for i in range(len(samples))]
            ordinal += len(samples)
            kept = [
                i for i, (position, sample) in enumerate(zip(positions, samples))
                if position < n_images and not sample.replaced
            ]
            if kept:
                yield [positions[i] for i in kept], [_select(feat, kept) for feat in feats]
            advance(min(len(samples) * world_size, n_images))
            stop_if_asked()
            if world_size * ordinal >= n_images:  # the same batch on all ranks: synchronised batch norm needs all
                break


def _select(values: Union[Tensor, list], kept: List[int]) -> Union[Tensor, list]:
    """Those of some images."""
    if len(kept) == len(values):
        return values
    return values[kept] if isinstance(values, Tensor) else [values[i] for i in kept]
