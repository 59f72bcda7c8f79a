"""How long a run will take, from one measured batch of each of its loaders."""
import copy
import time
from contextlib import contextmanager
from functools import lru_cache
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import torch
from mmengine.dist import get_world_size
from mmengine.runner import BaseLoop, EpochBasedTrainLoop
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.data import DataLoader

from ..clustering import MiniBatchKMeans
from ..models.necks import BatchDropout
from ..presets import n_cores
from .feature_pass import unwrap
from .loops import images_of_epoch
from .run_state import random_state, set_random_state

# bounds of the measuring itself, for each loader
_READ_SECONDS, _COMPUTE_SECONDS, _WARM_SECONDS = 2., 6., 1.
# forward passes that a training step is worth: one labels, one trains, and a backward pass costs two
_FORWARDS_PER_STEP = 4
_KMEANS_ROWS = 10_000


class Pass(NamedTuple):
    """Images that a run reads in the same way at several times.

    Hooks that read images of their own accord say so by a method ``passes(runner)``, which gives a list of these, and
    those that evaluate by ``evaluations(runner)``, the epochs.
    """
    loader: DataLoader
    n_images: int  # each time, over all ranks
    at: Sequence[int]  # the epochs from 0 on, or iterations where the run counts those
    trains: bool = False
    fits: Callable[[int], List[Tuple[int, int]]] = lambda n_cells: []  # cells of an image -> (clusters, assigned rows)


class Cost(NamedTuple):
    """Seconds for an image of a loader, and what the network makes of it."""
    read: float  # on one core
    forward: float
    step: float  # of training
    size: Tuple[int, int]  # height and width of what the network sees
    n_cells: int  # of the feature map
    n_channels: int


class Forecast(NamedTuple):
    """Seconds of a run by epoch, or iteration."""
    parts: List[Tuple[Sequence[int], float]]

    def seconds(self, first: int = 0, end: Optional[int] = None) -> float:
        """Of the epochs from ``first`` on and before ``end``."""
        return sum(seconds * sum(first <= i and (end is None or i < end) for i in at) for at, seconds in self.parts)


def progress_of(runner) -> Tuple[int, int]:
    """Epochs, or iterations where the run counts those, that are done, and that there are."""
    loop = runner.train_loop
    return (loop.epoch, loop.max_epochs) if isinstance(loop, EpochBasedTrainLoop) else (loop.iter, loop.max_iters)


def evaluates_after(runner, done: int) -> bool:
    """Whether the validation runs when so many epochs, or iterations, are done."""
    loop = runner.train_loop
    return runner.val_loop is not None and done >= max(1, loop.val_begin) and (
        done % loop.val_interval == 0 or done == progress_of(runner)[1])


def evaluations(runner) -> List[int]:
    """When the validation is still to run: the epoch that it follows, or precedes where a hook runs it first."""
    start, end = progress_of(runner)
    by_hooks = [i for hook in runner.hooks if hasattr(hook, 'evaluations') for i in hook.evaluations(runner)]
    return by_hooks + [i for i in range(start, end) if evaluates_after(runner, i + 1)]


def planned_passes(runner) -> List[Pass]:
    """All that the run is still to read."""
    start, end = progress_of(runner)
    loader = runner.train_dataloader
    is_by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
    n_images = images_of_epoch(runner.train_loop) if is_by_epoch else get_world_size() * (loader.batch_size or 1)
    passes = [Pass(loader, n_images, range(start, end), trains=True)]
    if isinstance(runner.val_loop, BaseLoop):
        passes.append(Pass(runner.val_dataloader, len(runner.val_dataloader.dataset), evaluations(runner)))
    return passes + [each for hook in runner.hooks if hasattr(hook, 'passes') for each in hook.passes(runner)]


def forecast(runner, passes: Sequence[Pass], train_cost: Cost) -> Forecast:
    """Measure the loaders of the passes; ``train_cost`` is that of the training."""
    costs: Dict[int, Cost] = {id(runner.train_dataloader): train_cost}
    parts = []
    for each in passes:
        if each.at:
            if id(each.loader) not in costs:
                costs[id(each.loader)] = measure(runner, each.loader)
            parts.append((each.at, _seconds(runner, each, costs[id(each.loader)])))
    return Forecast(parts)


def _seconds(runner, each: Pass, cost: Cost) -> float:
    """Of one time that it takes place."""
    model, n_ranks = unwrap(runner.model), get_world_size()
    device = model.data_preprocessor.device
    compute = cost.step if each.trains else cost.forward
    n_workers = each.loader.num_workers
    per_image = cost.read + compute
    if n_workers:
        n_threads = torch.get_num_threads() if device.type == 'cpu' else 0
        per_image = max(cost.read / n_workers, compute, (cost.read + compute * min(n_threads, n_cores())) / n_cores())
    fitting = sum(n_rows * _row_seconds(n_clusters, cost.n_channels, device)
                  for n_clusters, n_rows in each.fits(cost.n_cells))
    return (each.n_images * per_image + fitting) / n_ranks


@lru_cache(None)
def _row_seconds(n_clusters: int, n_channels: int, device: torch.device) -> float:
    """To assign a row in k-means."""
    rows = torch.rand(_KMEANS_ROWS, n_channels, generator=torch.Generator().manual_seed(0)).to(device)
    kmeans = MiniBatchKMeans(n_clusters)
    kmeans.cluster_centers_ = rows[torch.arange(n_clusters) % len(rows)].clone()
    return _time(lambda: kmeans.accumulate(rows), device) / len(rows)


def measure(runner, loader: DataLoader, trains: bool = False) -> Cost:
    """Read a batch in this process and compute with it, or with as many of its images as the bounds allow.

    Nothing of the run is changed: weights, gradients, buffers, modes, random states and samplers are as before. There
    is no collective, so ranks need not agree.
    """
    model = unwrap(runner.model)
    device = model.data_preprocessor.device
    with unchanged(model):
        samples, read = _read(loader)
        model.train(trains)
        for module in model.modules():  # statistics and draws of the batch would need all ranks
            if isinstance(module, (_NormBase, BatchDropout)):
                module.eval()
        first, _ = _batch(model, loader, samples, 1, trains)
        with torch.no_grad():
            n_cells, n_channels = _features(model, first)
            once = _time(lambda: _features(model, first), device)
            n_images = max(1, min(loader.batch_size or 1, int(_COMPUTE_SECONDS / (2 * _FORWARDS_PER_STEP * once))))
            images, batch = _batch(model, loader, samples, n_images, trains)
            forward = _time(lambda: _features(model, images), device)
        step = _FORWARDS_PER_STEP * forward
        if trains and get_world_size() == 1:
            step = _time(lambda: _differentiate(runner, model, batch), device)
    return Cost(read, forward / n_images, step / n_images, tuple(images.shape[-2:]), n_cells, n_channels)


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Whatever the block computes, buffers and modes of the model and the global generators are as before."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(module, name, buffer, buffer.clone()) for module in model.modules()
               for name, buffer in module._buffers.items() if buffer is not None]
    state = random_state()
    try:
        yield
    finally:
        set_random_state(state)
        for module, name, buffer, value in buffers:
            module._buffers[name] = buffer
            buffer.data.copy_(value)
        for module, mode in modes:
            module.training = mode


def _read(loader: DataLoader) -> Tuple[list, float]:
    """Samples of a batch, or fewer where they take long, and seconds for one."""
    n_all = len(loader.dataset)
    n_wanted = min(loader.batch_size or 1, n_all)
    samples, times = [], [time.perf_counter()]
    while len(samples) < n_wanted and times[-1] - times[0] < _READ_SECONDS:
        samples.append(loader.dataset[len(samples) * n_all // n_wanted])
        times.append(time.perf_counter())
    if len(times) > 2:  # the first has what is done once
        times = times[1:]
    return samples, (times[-1] - times[0]) / (len(times) - 1)


def _batch(model: nn.Module, loader: DataLoader, samples: list, n_images: int, trains: bool):
    """Images of all views, (N, 3, H, W), and the batch as the model takes it."""
    chosen = [copy.deepcopy(samples[i % len(samples)]) for i in range(n_images)]
    batch = model.data_preprocessor(loader.collate_fn(chosen), trains)
    images = batch['inputs']
    return (images if isinstance(images, torch.Tensor) else torch.cat(list(images))), batch


def _features(model: nn.Module, images: torch.Tensor) -> Tuple[int, int]:
    """Run the network; cells of the feature map and channels."""
    if not hasattr(model, 'forward_maps'):
        model(images)
        return 0, 0
    feats = next(iter(model.forward_maps(images).feats.values()))
    return feats.shape[-2] * feats.shape[-1], feats.shape[1]


def count_cells(model: nn.Module, loader: DataLoader) -> int:
    """Number of cells of the feature map of an image; one image is read. Nothing of the run is changed."""
    with unchanged(model), torch.no_grad():
        model.eval()
        views, _ = _batch(model, loader, [loader.dataset[0]], 1, True)
        return _features(model, views[:1])[0]


def _differentiate(runner, model: nn.Module, batch: dict) -> None:
    """A training step without its end; gradients that there are stay."""
    with runner.optim_wrapper.optim_context(runner.model):
        loss, _ = model.parse_losses(model.loss(batch['inputs'], batch['data_samples']))
    torch.autograd.grad(loss, [param for param in model.parameters() if param.requires_grad], allow_unused=True)


def _time(function: Callable, device: torch.device) -> float:
    """Seconds of a call; of the second one where the first, which has what is done once, is short."""
    for _ in range(2):
        start = time.perf_counter()
        function()
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - start
        if seconds > _WARM_SECONDS and device.type == 'cpu':
            break
    return seconds
