"""The batch of all processes as one process would have it: rank r of W holds its images r, r + W, ... (mmengine's
samplers), and ranks have equally many."""
from typing import Callable, Tuple

import torch
from mmengine.dist import all_gather, all_reduce, broadcast, get_dist_info, get_world_size
from torch import Tensor

from .devices import to_device


def own_images(values: Tensor) -> Tensor:
    """(W N, ...) of the images of the batch -> (N, ...) of those of this process."""
    rank, world_size = get_dist_info()
    return values[rank::world_size]


def gather_images(values: Tensor) -> Tensor:
    """(N, ...) of the images of this process -> (W N, ...) of the batch.

    Gradients go back to the process that has the image, and add up there: averaged over processes, as
    ``DistributedDataParallel`` does, those of the mean loss of the processes are what one process would have.
    """
    return values if get_world_size() == 1 else _Gather.apply(values)


class _Gather(torch.autograd.Function):
    """torch's own (``torch.distributed.nn``) lacks the way over the host that a backend without GPUs needs."""

    @staticmethod
    def forward(ctx, values: Tensor) -> Tensor:
        return torch.stack(all_gather(values.contiguous()), 1).flatten(0, 1)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        all_reduce(total)
        return own_images(total)


def common(values: Tensor) -> Tensor:
    """What the first process has, in place on all: for random numbers, of which it draws as many as one process would,
    and so the same ones."""
    broadcast(values)
    return values


def own_draws(draw: Callable[[int], Tensor], n_images: int, device: torch.device) -> Tensor:
    """(N, ...) random numbers of the images of this process, out of the (W N, ...) of the batch that ``draw(W N)``
    gives."""
    return own_images(common(to_device(draw(n_images * get_world_size()), device)))


def mean_of_batch(values: Tensor) -> Tensor:
    """The mean of numbers of which each process has as many, without a gradient."""
    mean = values.detach().mean()
    all_reduce(mean, 'mean')
    return mean


def every_nth(values: Tensor, step: int) -> Tensor:
    """Each ``step``-th of the numbers (N, ...) of the images of the batch, without a gradient."""
    rank, world_size = get_dist_info()
    values = values.detach().flatten(1)
    if world_size == 1:
        return values.flatten()[::step]
    n_images, length = values.shape
    places = torch.arange(0, world_size * n_images * length, step, device=values.device)
    images, numbers = places // length, places % length
    found = torch.where(images % world_size == rank, values[images // world_size, numbers], 0)
    all_reduce(found)  # every number has one process that holds it
    return found


@torch.no_grad()
def gather_rows(rows: Tensor, images: Tensor) -> Tuple[Tensor, Tensor]:
    """Rows of which an image may have any number, of all processes, image by image.

    Args:
        rows: (n, D) float32 of this rank, n of its own.
        images: (n,) int64, the index of their image in this rank's batch, ascending.

    Returns:
        tuple: (n_1 + ... + n_W, D) rows, and bool whether each is of this rank.
    """
    rank, world_size = get_dist_info()
    if world_size == 1:
        return rows, torch.ones(len(rows), dtype=torch.bool, device=rows.device)
    counts = torch.cat(all_gather(torch.full((1, ), len(rows), device=rows.device))).tolist()
    padded = rows.new_zeros(max(counts), rows.size(1))
    positions = images.new_full((max(counts), ), -1)
    padded[:len(rows)], positions[:len(rows)] = rows, images * world_size + rank
    positions = torch.cat([part[:count] for part, count in zip(all_gather(positions), counts)])
    gathered = torch.cat([part[:count] for part, count in zip(all_gather(padded), counts)])
    order = positions.argsort(stable=True)
    return gathered[order], positions[order] % world_size == rank
