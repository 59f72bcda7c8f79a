"""What ``mmseg-unsup gpu-report`` asks of a machine: whether results are right there. Speeds are in gpu_speed.py.

A check is a function of a :class:`Scale` and of ``note``, which keeps the numbers that it is given, also where an error
follows. An AssertionError says what is wrong with the numbers; :class:`Skipped`, why there are none.
"""
import os
import signal
import socket
import warnings
from dataclasses import dataclass
from functools import partial
from typing import Callable, Dict
from unittest import mock

import torch
import torch.distributed as dist
import torch.nn.functional as F
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from ..clustering import MiniBatchKMeans
from ..utils.preemption import EXIT_CODE
from ..engine.runner import DETERMINISTIC_PRODUCTS
from ..models.teachers import PrototypeTeacher
from ..utils.distributed import open_process_group
from .gpu_runs import (
    CONFIGS, Scale, forget_peak, losses_of, peak_bytes, relative_difference, reproducible, run_config, train,
    unequal_tensors)

Note = Callable[..., None]
_PRECISIONS = dict(
    bfloat16=dict(type='mmseg_unsup.BFloat16OptimWrapper'),
    float16=dict(type='AmpOptimWrapper', dtype='float16', loss_scale='dynamic'))


class Skipped(Exception):
    """What the check is about is not there."""


@dataclass(frozen=True)
class Check:
    """A question to the machine."""
    function: Callable[[Scale, Note], None]
    question: str
    seconds: int  # after which it has failed
    alone: bool = False  # nothing may run beside it


def train_method(scale: Scale, note: Note, method: str) -> None:
    """Two epochs with their clusterings, and the evaluation."""
    forget_peak()
    runner = train(run_config(method, scale, 'run', epochs=2))
    losses = losses_of(runner)
    scores = {name.partition('/')[2]: scalar.current() for name, scalar in runner.message_hub.log_scalars.items()
              if name in ('val/mIoU', 'val/clusters_used')}
    note(steps=len(losses), first_loss=losses[0], last_loss=losses[-1], peak_bytes=peak_bytes(), **scores)


def amp(scale: Scale, note: Note, kind: str) -> None:
    """Losses of an epoch in mixed precision beside those in float32."""
    if kind == 'float16' and scale.device == 'cpu':
        raise Skipped('float16 with loss scaling needs a GPU')
    plain = losses_of(train(run_config('picie', scale, 'float32')))
    cfg = run_config('picie', scale, kind)
    cfg.optim_wrapper.update(_PRECISIONS[kind])
    runner = train(cfg)
    scaler = getattr(runner.optim_wrapper, 'loss_scaler', None)
    difference = relative_difference(losses_of(runner), plain)
    note(relative_difference_of_losses=difference, **dict(loss_scale=scaler.get_scale()) if scaler else {})
    assert difference < 0.1, f'losses in {kind} are {difference:.1%} from those in float32'


def tf32(scale: Scale, note: Note) -> None:
    """Losses of an epoch with and without TF32 in products and convolutions."""
    losses = []
    for allowed in (False, True):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
        losses.append(losses_of(train(run_config('picie', scale, f'tf32_{allowed}'))))
    difference = relative_difference(losses[1], losses[0])
    note(relative_difference_of_losses=difference)
    assert difference < 0.1, f'losses with TF32 are {difference:.1%} from those without'


def determinism(scale: Scale, note: Note, method: str) -> None:
    """Two runs with the deterministic setting."""
    states = [train(reproducible(run_config(method, scale, name))).model.state_dict() for name in ('one', 'two')]
    unequal = unequal_tensors(*states)
    note(tensors=len(states[0]), unequal_tensors=len(unequal))
    assert not unequal, f'two equal runs differ in {len(unequal)} tensors, such as {unequal[:3]}'


class _StopHook(Hook):
    """Tells the run to stop after a step of the second epoch, as a scheduler would."""
    priority = 'HIGHEST'

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if (runner.epoch, batch_idx) == (1, 0):
            os.kill(os.getpid(), signal.SIGTERM)


def resume(scale: Scale, note: Note, method: str) -> None:
    """A run that is stopped inside its second epoch and continued, beside an undisturbed one."""
    def part(name: str, **options):
        return reproducible(run_config(method, scale, name, epochs=2, options=options))

    whole = train(part('whole'))
    try:
        train(part('parts'), _StopHook())
        raise AssertionError('the run did not stop when it was told to')
    except SystemExit as end:
        assert end.code == EXIT_CODE, f'the run stopped with status {end.code}, not {EXIT_CODE}'
    unequal = unequal_tensors(train(part('parts', resume=True)).model.state_dict(), whole.model.state_dict())
    note(unequal_tensors=len(unequal))
    assert not unequal, f'the continued run differs in {len(unequal)} tensors, such as {unequal[:3]}'


def process_group(scale: Scale, note: Note) -> None:
    """One process started as by torchrun, with its collectives, beside one that is not; NCCL on a GPU."""
    alone = losses_of(train(run_config('picie', scale, 'alone')))
    cfg = run_config('picie', scale, 'launched')
    cfg.launcher = 'pytorch'
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    launch = dict(RANK='0', LOCAL_RANK='0', WORLD_SIZE='1', MASTER_ADDR='127.0.0.1', MASTER_PORT=port)
    with mock.patch.dict(os.environ, launch):
        open_process_group(cfg)
        backend = dist.get_backend()
        difference = relative_difference(losses_of(train(cfg)), alone)
    note(backend=backend, relative_difference_of_losses=difference)
    assert backend == ('nccl' if scale.device == 'cuda' else 'gloo'), f'the process group is one of {backend}'
    assert difference < 0.02, f'losses of the launched process are {difference:.1%} from those of the other'


def faiss(scale: Scale, note: Note) -> None:
    """k-means by faiss, on a GPU by faiss-gpu, beside torch from the same start."""
    try:
        import faiss
    except ImportError:
        raise Skipped('faiss is not installed') from None
    if scale.device == 'cuda' and not hasattr(faiss, 'StandardGpuResources'):
        raise Skipped('the faiss that is installed is one for CPUs')
    rows = clustered_rows(scale.of(1_000_000, 2000), scale.device)
    inertias = {backend: _kmeans(rows, 27, backend).inertia_ for backend in ('torch', 'faiss')}
    note(points=len(rows), inertia=inertias)
    assert abs(inertias['faiss'] / inertias['torch'] - 1) < 1e-3, f'the backends end in other optima: {inertias}'


def kmeans_equality(scale: Scale, note: Note) -> None:
    """k-means of the same rows and start on CPU and device."""
    rows = clustered_rows(scale.of(200_000, 2000), 'cpu')
    fits = {device: _kmeans(rows.to(device), 27, 'torch') for device in ('cpu', scale.device)}
    labels = {device: fit.predict(rows.to(device)).cpu() for device, fit in fits.items()}
    equal = float((labels['cpu'] == labels[scale.device]).double().mean())
    difference = relative_difference(fits[scale.device].cluster_centers_, fits['cpu'].cluster_centers_)
    note(points=len(rows), equal_labels=equal, relative_difference_of_centers=difference)
    assert equal > 0.999 and difference < 1e-3, f'{equal:.2%} equal labels, centres {difference:.1e} apart'


def _kmeans(rows: Tensor, n_clusters: int, backend: str) -> MiniBatchKMeans:
    model = MiniBatchKMeans(n_clusters, n_iter=10, backend=backend)
    model.init(rows, rows[:n_clusters].clone()[None])
    return model


def clustered_rows(n_rows: int, device: str, n_channels: int = 128) -> Tensor:
    """(N, C) float32 of unit length around forty centres, made on the device."""
    generator = torch.Generator(device).manual_seed(0)
    centers = torch.randn(40, n_channels, generator=generator, device=device)
    rows = torch.empty(n_rows, n_channels, device=device)
    for part in rows.split(2**20):
        members = torch.randint(40, (len(part), ), generator=generator, device=device)
        torch.randn(part.shape, generator=generator, device=device, out=part).add_(centers[members])
        part.copy_(F.normalize(part, dim=1))
    return rows


def batch_equality(scale: Scale, note: Note, method: str) -> None:
    """Losses, gradients and labels of one batch on CPU and device, from the same weights."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    runner = train(run_config(method, scale, 'run', batch_size=4))
    batch, model = first_batch(runner), runner.model
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = []
    for device in (scale.device, 'cpu'):
        model.to(device).load_state_dict(state)
        found.append(_step_values(model, batch))
    (loss, gradient, labels), (of_cpu, gradient_of_cpu, labels_of_cpu) = found
    # the loss of IIC is nearly 0 at the start
    differences = dict(loss=float(abs(loss - of_cpu) / abs(of_cpu).clamp(min=0.1)),
                       gradient=relative_difference(gradient, gradient_of_cpu))
    note(relative_difference=differences)
    if labels is not None:
        equal = float((labels == labels_of_cpu).double().mean())
        note(labels=len(labels), equal_labels=equal)
        assert equal > 0.999, f'only {equal:.2%} of the labels are those of the CPU'
    assert differences['loss'] < 1e-3 and differences['gradient'] < 5e-3, f'the CPU has other values: {differences}'


def first_batch(runner: Runner) -> dict:
    """The first batch of the training loader."""
    loader = Runner.build_dataloader(dict(runner.cfg.train_dataloader, num_workers=0, persistent_workers=False), seed=0)
    loader.dataset.set_key(0, 0)
    return next(iter(loader))


def _step_values(model: nn.Module, batch: dict):
    """Loss, gradient and, where a teacher gives them, labels, on the CPU."""
    model.train().zero_grad()
    data = model.data_preprocessor(batch, True)
    labels = None
    if isinstance(model.target_generator, PrototypeTeacher):
        by_level = model.target_generator(data['inputs'], data['data_samples'])
        labels = torch.cat([of_view.flatten() for of_level in by_level for of_view in of_level]).cpu()
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    gradient = torch.cat([p.grad.flatten().cpu() for p in model.parameters() if p.grad is not None])
    return loss.detach().cpu(), gradient, labels


def warp_gradient(scale: Scale, note: Note) -> None:
    """The gradient of the crop on feature maps, twice, and beside the CPU."""
    from ..functional import warp
    boxes, flips = torch.tensor([[0.1, 0.2, 0.7, 0.8], [0., 0.3, 0.5, 0.8]]), torch.tensor([False, True])
    feats = torch.randn(2, 128, 80, 80, generator=torch.Generator().manual_seed(0))
    out = torch.randn(feats.shape, generator=torch.Generator().manual_seed(1))

    def gradient(device: str) -> Tensor:
        maps = feats.to(device, memory_format=torch.channels_last).requires_grad_()
        warp(maps, boxes.to(device), flips.to(device)).backward(out.to(device))
        return maps.grad.cpu()

    first, second, of_cpu = (gradient(device) for device in (scale.device, scale.device, 'cpu'))
    note(relative_difference=relative_difference(first, of_cpu), equal_bits=torch.equal(first, second))
    assert torch.equal(first, second), 'two gradients of the same maps differ'
    assert relative_difference(first, of_cpu) < 1e-5, 'the gradient is not that of the CPU'


def warnings_of_determinism(scale: Scale, note: Note) -> None:
    """Operations of a training of each method that have no deterministic version on the device."""
    os.environ.setdefault(*DETERMINISTIC_PRODUCTS)
    torch.use_deterministic_algorithms(True, warn_only=True)
    found: Dict[str, list] = {}
    for method in scale.of(CONFIGS, ['picie']):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            train(run_config(method, scale, method))
        found[method] = sorted({str(warning.message).split('. ')[0] for warning in caught
                                if 'deterministic' in str(warning.message)})
    note(operations=found)
    assert not any(found.values()), f'operations without a deterministic version: {found}'


def _of_methods(function: Callable, question: str, seconds: int, methods=tuple(CONFIGS)) -> Dict[str, Check]:
    name = function.__name__.removesuffix('_method').replace('_', '-')
    return {f'{name}-{method}': Check(partial(function, method=method), question.format(method), seconds)
            for method in methods}


CORRECTNESS: Dict[str, Check] = {
    **_of_methods(train_method, '{} trains two epochs and is evaluated', 90),
    'amp-bfloat16': Check(partial(amp, kind='bfloat16'), 'bfloat16 trains as float32 does', 90),
    'amp-float16': Check(partial(amp, kind='float16'), 'float16 with loss scaling trains as float32 does', 90),
    'tf32': Check(tf32, 'TF32 trains as float32 does', 90),
    **_of_methods(batch_equality, '{} has the losses, gradients and labels of a CPU', 90),
    'kmeans-equality': Check(kmeans_equality, 'k-means has the centres and labels of a CPU', 60),
    'warp-gradient': Check(warp_gradient, 'the gradient of the crop is that of a CPU, and the same twice', 30),
    **_of_methods(determinism, 'two runs of {} with the deterministic setting are equal to the bit', 90),
    'nondeterministic-operations': Check(warnings_of_determinism, 'no operation lacks a deterministic version', 120),
    **_of_methods(resume, 'a stopped and continued run of {} ends in the bits of an undisturbed one', 120,
                  ('picie', 'maskcontrast')),
    'process-group': Check(process_group, 'one process with NCCL trains as one without', 90),
    'faiss': Check(faiss, 'k-means by faiss-gpu is that of torch', 60),
}
