"""What ``mmseg-unsup gpu-report`` measures: seconds, images a second, and memory. One check runs at a time."""
import itertools
import time
from functools import partial
from typing import Dict, Tuple

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from ..apis import UnsupInferencer
from ..clustering import MiniBatchKMeans
from ..datasets.image_files import find_images
from ..engine.hooks import CompileHook
from ..engine.optimizers import BFloat16OptimWrapper
from ..utils.config import load_config, merge_options
from ..utils.speed import adapt_loaders, enable_amp
from .benchmark import measure_config, measure_losses
from .gpu_checks import Check, Note, clustered_rows, first_batch
from .gpu_runs import CONFIGS, Scale, forget_peak, peak_bytes, relative_difference, run_config, train
from .stopwatch import cost_clock

COCO_IMAGES = 49_629  # of the curated training list of COCO-Stuff 27
TARGET_EPOCHS, TARGET_MINUTES = 10, 10.
# rows of the views of those images that a clustering reads at stride 4 of 320 px, thinned; C of the features
KMEANS_ROWS, KMEANS_CLUSTERS = 32_800_000, (27, 54, 108)


def coco_epoch(scale: Scale, note: Note, is_amp: bool, n_images: int) -> None:
    """An epoch of the COCO-Stuff config on synthetic photographs, a part of its images, extrapolated."""
    cfg = _coco_config(scale)
    if is_amp:
        enable_amp(cfg)
    n_images = scale.of(n_images, 8)
    report = measure_config(cfg, scale.of(1, 0), n_images, scale.photograph_size, parts=False)
    epoch, growth = report['epoch']['wall'], COCO_IMAGES / n_images
    note(images=n_images, batch_size=report['batch_size'], workers=cfg.train_dataloader.num_workers,
         seconds={name: phase['wall'] for name, phase in report['phases'].items()},
         images_per_second={name: phase['images_per_second'] for name, phase in report['phases'].items()},
         epoch_seconds=epoch, extrapolated_epoch_seconds=epoch * growth, extrapolated_to_images=COCO_IMAGES,
         minutes_of_10_epochs=TARGET_EPOCHS * epoch * growth / 60, target_minutes=TARGET_MINUTES,
         peak_device_bytes=report['peak_device_bytes'], peak_host_bytes=report['peak_host_bytes'])


def _coco_config(scale: Scale) -> Config:
    cfg = load_config('mmseg_unsup::picie/picie_fpn_cocostuff.py', dict(init=None))
    for name in ('train_dataloader', 'probe_dataloader', 'val_dataloader'):
        n_workers = max(1, scale.cores - 1)
        cfg[name].update(num_workers=n_workers, persistent_workers=True)
        if scale.quick:
            cfg[name].batch_size = 4
    if scale.quick:
        merge_options(cfg, {
            'size': 32, 'model.backbone.base_channels': 8, 'model.backbone.stem_channels': 8,
            'model.neck.in_channels': [8, 16, 32, 64], 'model.neck.out_channels': 16,
            'model.decode_head.in_channels': 16, 'n_clusters': 3})
    adapt_loaders(cfg)
    return cfg


def loader(scale: Scale, note: Note) -> None:
    """Images a second of the training loader by itself, two 320 px views each, for several numbers of workers."""
    cfg = _coco_config(scale)
    cfg.train_dataloader.dataset.dataset = dict(
        type='RepeatDataset', times=scale.of(1000, 4),
        dataset=dict(type='mmseg_unsup.UnlabelledFolder', data_root=scale.photographs))
    rates = {}
    for n_workers in scale.of(sorted({1, 4, 8, scale.cores}), [0, 1]):
        cfg.train_dataloader.update(num_workers=n_workers, persistent_workers=False)
        rates[str(n_workers)] = _loading_rate(cfg.train_dataloader, scale.of(4., 0.05))
        note(images_per_second=rates)


def _loading_rate(loader_cfg: Config, seconds: float) -> float:
    """Images a second, after the first batch of every worker: those come together."""
    batches = Runner.build_dataloader(loader_cfg, seed=0)
    batches.dataset.set_key(0, 0)
    iterator, n_images = iter(batches), 0
    for _ in range(max(1, batches.num_workers)):
        next(iterator)
    start = time.perf_counter()
    for batch in iterator:
        n_images += len(batch['data_samples'])
        if time.perf_counter() - start > seconds:
            break
    return n_images / (time.perf_counter() - start)


def step(scale: Scale, note: Note, method: str) -> None:
    """A training step on a batch that lies on the device: milliseconds and peak memory, float32 and bfloat16."""
    runner, batch = _trained(scale, method)
    for precision, wrapper in _wrappers(runner).items():
        note(batch_size=len(batch['data_samples']), **{precision: _step_speed(runner, wrapper, batch, scale)})


def compile_step(scale: Scale, note: Note) -> None:
    """The same step with backbone and neck compiled."""
    runner, batch = _trained(scale, 'picie')
    wrapper = _wrappers(runner)['bfloat16']
    state = {name: tensor.clone() for name, tensor in runner.model.state_dict().items()}
    losses = []
    for name in ('eager', 'compiled'):
        if name == 'compiled':
            CompileHook(backend=scale.of('inductor', 'eager')).before_train(runner)
        runner.model.load_state_dict(state)
        losses.append(runner.model.train_step(batch, wrapper)['loss'].detach())
        note(batch_size=len(batch['data_samples']), **{name: _step_speed(runner, wrapper, batch, scale)})
    difference = relative_difference(*reversed(losses))
    note(relative_difference_of_losses=difference)
    assert difference < 0.02, f'the compiled loss is {difference:.1%} from the other'


def _trained(scale: Scale, method: str) -> Tuple[Runner, dict]:
    """A runner after an epoch, which fits the clusters, and a batch on its device."""
    runner = train(run_config(method, scale, 'run', batch_size=128))
    return runner, runner.model.data_preprocessor.cast_data(first_batch(runner))


def _wrappers(runner: Runner) -> Dict[str, OptimWrapper]:
    optimizer = runner.optim_wrapper.optimizer
    return dict(float32=runner.optim_wrapper, bfloat16=BFloat16OptimWrapper(optimizer=optimizer))


def _step_speed(runner: Runner, wrapper: OptimWrapper, batch: dict, scale: Scale) -> Dict[str, float]:
    forget_peak()
    now, n_images, n_steps = cost_clock(torch.device(scale.device)), len(batch['data_samples']), scale.of(20, 1)
    times = [now()]
    for n in (1, scale.of(4, 1), n_steps):  # the first one, some that are not measured, and those that are
        for _ in range(n):
            runner.model.train_step(batch, wrapper)
        times.append(now())
    seconds = (times[3] - times[2]) / n_steps
    return dict(first_step_seconds=times[1] - times[0], step_seconds=seconds, images_per_second=n_images / seconds,
                peak_bytes=peak_bytes())


def kmeans_pass(scale: Scale, note: Note) -> None:
    """One assignment and update of 32.8 M rows of 128 channels, by number of clusters."""
    rows = clustered_rows(scale.of(KMEANS_ROWS, 20_000), scale.device)
    now, passes = cost_clock(rows.device), {}
    forget_peak()
    for n_clusters in KMEANS_CLUSTERS:
        model = MiniBatchKMeans(n_clusters, n_iter=20)
        start = now()
        model.init(rows[:scale.of(10**6, 2000)], rows[:n_clusters].clone()[None])
        middle = now()
        for part in rows.split(2**22):
            model.accumulate(part)
        model.update()
        seconds = now() - middle
        passes[str(n_clusters)] = dict(init_seconds=middle - start, pass_seconds=seconds,
                                       points_per_second=len(rows) / seconds, inertia=model.inertia_)
        note(points=len(rows), passes=passes, peak_bytes=peak_bytes())
    assert all(0 < found['inertia'] < 2 for found in passes.values()), f'inertias of unit rows lie below 2: {passes}'


def mask_contrast_losses(scale: Scale, note: Note) -> None:
    """Seconds and peak memory of the losses by themselves, by kind of anchor."""
    cfg = load_config(f'mmseg_unsup::maskcontrast/maskcontrast_deeplabv3_{scale.of("voc", "folder_r18")}.py',
                      dict(init=None, size=scale.of(224, 32)))
    note(**measure_losses(cfg))


def predict(scale: Scale, note: Note) -> None:
    """Photographs a second of ``UnsupInferencer``, decoding included, by batch size."""
    cfg = run_config('picie', scale, 'run')
    train(cfg)
    inferencer = UnsupInferencer(None, cfg.work_dir, device=scale.device, show_progress=False)
    paths, rates = find_images(scale.photographs), {}
    for batch_size in (1, 8, 32):
        images = [*paths] * scale.of(4, 1)
        n_warm = min(len(images) // 2, 2 * batch_size)
        stream = inferencer.stream(images, batch_size)
        for _ in itertools.islice(stream, n_warm):
            pass
        start = time.perf_counter()
        n_images = sum(1 for _ in stream)
        rates[str(batch_size)] = n_images / (time.perf_counter() - start)
        note(images_per_second=rates)


SPEED: Dict[str, Check] = {
    'coco-epoch-amp': Check(partial(coco_epoch, is_amp=True, n_images=9_600),
                            'how long an epoch of COCO size takes, in mixed precision', 150, alone=True),
    'kmeans-pass': Check(kmeans_pass, 'how long a k-means pass over 32.8 M rows takes', 90, alone=True),
    'loader': Check(loader, 'how many images a second the loader gives', 90, alone=True),
    **{f'step-{method}': Check(partial(step, method=method), f'how long a step of {method} takes, and its memory', 60,
                               alone=True) for method in CONFIGS},
    'maskcontrast-losses': Check(mask_contrast_losses, 'how much memory the losses of MaskContrast take', 60,
                                 alone=True),
    'predict': Check(predict, 'how many photographs a second are segmented', 60, alone=True),
    'compile': Check(compile_step, 'what torch.compile makes of a step', 120, alone=True),
    'coco-epoch-float32': Check(partial(coco_epoch, is_amp=False, n_images=3_200),
                                'how long an epoch of COCO size takes in float32', 120, alone=True),
}
