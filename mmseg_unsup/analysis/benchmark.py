"""The work of ``mmseg-unsup benchmark``: an epoch, k-means and losses, measured and printed."""
import os
import os.path as osp
import resource
import tempfile
from contextlib import contextmanager
from typing import Dict, Iterator, Optional, Sequence, Tuple

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from prettytable import PrettyTable

from ..clustering import StreamingKMeans
from ..datasets.feature_store import sized
from ..datasets.transforms import photometric
from ..datasets.transforms.geometric import PairedCropFlip
from ..datasets.transforms.loading import LoadImage, LoadLabels
from ..engine.feature_pass import unwrap
from ..engine.hooks import FreshKMeansHook, PixelClusteringHook
from ..engine.runner import ConsoleRunner
from ..models.segmentors import MaskContrast
from ..registry import MODELS, TRANSFORMS
from ..utils.devices import default_device
from ..utils.progress import track_progress
from ..utils.registered import class_of
from .feature_benchmark import time_features
from .kmeans_benchmark import start_features, time_lloyd
from .loss_benchmark import time_losses
from .stopwatch import REST, Seconds, Stopwatch

# what k-means is compared with
REFERENCES = ('faiss.Kmeans', 'sklearn')
TRAINING, EVALUATION = ('cluster', 'label', 'train'), ('fresh k-means', 'evaluate')


class StopwatchHook(Hook):
    """Watches the run once it is complete, and forgets the epochs before the measured one."""
    priority = 'HIGHEST'

    def __init__(self, stopwatch: Stopwatch, epoch: int, parts: bool) -> None:
        self.stopwatch, self.epoch, self.parts = stopwatch, epoch, parts

    def before_train(self, runner) -> None:
        """Put the watches on."""
        watch(runner, self.stopwatch, self.parts)

    def before_train_epoch(self, runner) -> None:
        """Start anew."""
        if runner.epoch == self.epoch:
            self.stopwatch.reset()
            if torch.cuda.is_available():
                torch.cuda.reset_peak_memory_stats()


def watch(runner: Runner, stopwatch: Stopwatch, parts: bool) -> None:
    """Book the phases of the epoch and, on request, what they consist of."""
    model = unwrap(runner.model)
    stopwatch.watch(runner.train_loop, 'run_epoch', phase='train')
    if runner.val_loop is not None:
        stopwatch.watch(runner.val_loop, 'run', phase='evaluate')
    for hook in runner.hooks:
        if isinstance(hook, (PixelClusteringHook, FreshKMeansHook)):
            stopwatch.watch(hook, 'fit', phase=hook.phase)
    if model.target_generator is not None:
        stopwatch.watch(model.target_generator, 'forward', phase='label')
    if not parts:
        return
    for owner, attribute, name in ((LoadImage, 'transform', 'decode'), (PairedCropFlip, 'transform', 'crop, resize'),
                                   (photometric.ColorJitter, 'transform', 'colour'),
                                   (photometric, 'shift_hue', 'hue'), (photometric.GaussianBlur, 'transform', 'blur'),
                                   (StreamingKMeans, 'add', 'k-means'), (StreamingKMeans, 'advance', 'k-means'),
                                   (StreamingKMeans, 'finish', 'k-means'),
                                   (runner.optim_wrapper, 'backward', 'backward'),
                                   (runner.optim_wrapper, 'step', 'optimiser')):
        stopwatch.watch(owner, attribute, part=name)
    for name, module in model.named_modules():
        if name.split('.')[-1] in ('backbone', 'neck'):
            stopwatch.watch(module, 'forward', part='forward')


def adapt(cfg: Config, warmup: int) -> None:
    """One measured epoch, evaluated at its end; on the CPU, data in this process, where its time is seen."""
    cfg.train_cfg.max_epochs = cfg.train_cfg.val_interval = warmup + 1
    cfg.default_hooks.pop('initial_evaluation', None)
    if not torch.cuda.is_available():
        for key in ('train_dataloader', 'probe_dataloader', 'val_dataloader'):
            if cfg.get(key):
                cfg[key].update(num_workers=0, persistent_workers=False)


def use_synthetic_images(cfg: Config, n_images: int, size: Tuple[int, int], folder: str) -> None:
    """Train on JPEGs that are drawn here and repeated, for data sets that are not at hand; evaluate on some of them."""
    width, height = size
    n_drawn = next(n for n in range(min(80, n_images), 0, -1) if n_images % n == 0)
    write_photographs(folder, n_drawn, width, height)
    images = dict(type='mmseg_unsup.UnlabelledFolder', data_root=folder)
    repeated = dict(type='RepeatDataset', dataset=images, times=n_images // n_drawn)
    for loader in filter(None, (cfg.train_dataloader, cfg.probe_dataloader)):
        loader.dataset.dataset = repeated
    cfg.val_dataloader.dataset = dict(images, pipeline=[
        t for t in cfg.val_dataloader.dataset.pipeline
        if getattr(class_of(t, TRANSFORMS), 'loads', None) != LoadLabels.loads])
    cfg.val_evaluator = dict(type='mmseg_unsup.ClusterMaps', output_dir=osp.join(folder, 'maps'))


def write_photographs(folder: str, count: int, width: int, height: int) -> None:
    """JPEGs that cost about what photographs cost to decode: smooth shapes, edges, and fine grain."""
    rng = np.random.default_rng(0)
    for i in range(count):
        image = cv2.resize(rng.integers(0, 256, (8, 8, 3)).astype(np.float32), (width, height),
                           interpolation=cv2.INTER_CUBIC)
        for _ in range(20):
            center, axes = rng.integers(0, (width, height)), rng.integers(8, height // 4, 2)
            cv2.ellipse(image, center.tolist(), axes.tolist(), float(rng.uniform(0, 180)), 0, 360,
                        rng.integers(0, 256, 3).tolist(), -1)
        image += rng.normal(0, 12, (height, width, 1))
        cv2.imwrite(osp.join(folder, f'{i:03d}.jpg'), np.clip(image, 0, 255).astype(np.uint8),
                    [cv2.IMWRITE_JPEG_QUALITY, 90])


def measure_loading(runner: Runner) -> Dict[str, float]:
    """Seconds for one pass over the training loader and nothing else."""
    loader = runner.train_dataloader
    loader.dataset.set_key(runner.seed, 0)
    stopwatch, n_images = Stopwatch(), 0
    with track_progress('loading alone', len(loader.dataset)) as advance:
        for batch in loader:
            n_images += len(batch['data_samples'])
            advance(len(batch['data_samples']))
    return dict(stopwatch.seconds[REST, REST]._asdict(), images=n_images)


def measure_epoch(runner: Runner, warmup: int, parts: bool) -> Dict[tuple, Seconds]:
    """Train ``warmup + 1`` epochs; ``(phase, part)`` -> seconds of the last one."""
    stopwatch = Stopwatch(runner.model.data_preprocessor.device)
    runner.register_hook(StopwatchHook(stopwatch, warmup, parts))
    runner.train()
    seconds = stopwatch.seconds
    stopwatch.release()
    return seconds


def summarise(runner: Runner, loading: dict, seconds: dict, work_dir: str) -> dict:
    """Everything that was measured, as one JSON-able dict."""
    n_train, n_val = len(runner.train_dataloader.dataset), len(runner.val_dataloader.dataset) if runner.val_loop else 0
    phases = {'load only': dict(loading, parts={})}
    for name in dict.fromkeys(phase for phase, _ in seconds if phase in TRAINING + EVALUATION):
        parts = {part: cost._asdict() for (phase, part), cost in seconds.items() if phase == name}
        wall, cpu = (sum(cost[kind] for cost in parts.values()) for kind in ('wall', 'cpu'))
        phases[name] = dict(wall=wall, cpu=cpu, parts=parts, images=n_val if name == 'evaluate' else n_train)
    for phase in phases.values():
        phase['images_per_second'] = phase['images'] / phase['wall']
    epoch, evaluation = ({kind: sum(phases[name][kind] for name in names if name in phases) for kind in ('wall', 'cpu')}
                         for names in (TRAINING, EVALUATION))
    clustering = phases['cluster']['wall'] if 'cluster' in phases else 0.
    on_gpu = torch.cuda.is_available()
    return dict(
        config=runner.cfg.filename,
        device=torch.cuda.get_device_name() if on_gpu else f'CPU, {torch.get_num_threads()} thread(s)',
        torch=torch.__version__,
        processes=runner.world_size,
        batch_size=runner.train_dataloader.batch_size,
        phases=phases,
        epoch=dict(epoch, images=n_train, share_of_clustering=clustering / epoch['wall']),
        evaluation=dict(evaluation, images=n_train),
        peak_host_bytes=1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        bytes_written=sum(
            osp.getsize(osp.join(folder, name)) for folder, _, names in os.walk(work_dir) for name in names),
        peak_device_bytes=torch.cuda.max_memory_allocated() if on_gpu else 0)


def print_report(report: dict) -> None:
    """Two tables: throughput of the phases, and what an image costs in each part of them."""
    table = PrettyTable(['phase', 'images', 's', 'images/s', 'CPU ms/image'], float_format='.1', align='r')
    for name, phase in report['phases'].items():
        table.add_row([name, phase['images'], phase['wall'], phase['images_per_second'],
                       1000 * phase['cpu'] / phase['images']])
    print(f'{report["config"]}, batch {report["batch_size"]}, {report["device"]}')
    print(table)
    for name, meaning in (('epoch', 'training'), ('evaluation', 'evaluation with its k-means')):
        cost = report[name]
        print(f'{meaning}: {cost["wall"]:.1f} s, {1000 * cost["wall"] / cost["images"]:.1f} ms and '
              f'{1000 * cost["cpu"] / cost["images"]:.1f} CPU ms per training image')
    print(f'share of clustering in a training epoch: {100 * report["epoch"]["share_of_clustering"]:.0f} %; 10 epochs '
          f'without evaluation: {report["epoch"]["wall"] / 6:.1f} min')
    gib = 2**30
    print(f'peak memory: host {report["peak_host_bytes"] / gib:.2f} GiB, device '
          f'{report["peak_device_bytes"] / gib:.2f} GiB; files written: {report["bytes_written"] / 2**20:.1f} MiB')
    phases = [name for name, phase in report['phases'].items() if len(phase['parts']) > 1]
    if phases:
        print(cost_table(report, phases))


def cost_table(report: dict, phases: list) -> PrettyTable:
    """CPU ms per training image, a row per part and a column per phase."""
    n_images = report['epoch']['images']
    parts = sorted({part for name in phases for part in report['phases'][name]['parts']})
    table = PrettyTable(['CPU ms / training image', *phases, 'sum'], float_format='.1', align='r')
    for part in parts:
        costs = [1000 * report['phases'][name]['parts'].get(part, dict(cpu=0.))['cpu'] / n_images for name in phases]
        table.add_row([part, *costs, sum(costs)])
    return table


def print_kmeans(report: dict) -> None:
    """Seconds per backend and library, and the bounds."""
    n_points, n_channels, n_iter = report['points'], report['channels'], report['iterations']
    for n_clusters, runs in report['runs'].items():
        titles = ['k-means', 's', 'iterations', 'million points/s', 'inertia', *(f'x {name}' for name in REFERENCES)]
        table = PrettyTable(titles, align='r')
        for name, run in runs.items():
            ratios = [f'{runs[other]["points_per_second"] / run["points_per_second"]:.2f}' if other in runs else '-'
                      for other in REFERENCES]
            inertia = '-' if run['inertia'] is None else f'{run["inertia"]:.6f}'
            table.add_row([name, f'{run["seconds"]:.2f}', run['iterations'], f'{run["points_per_second"] / 1e6:.1f}',
                           inertia, *ratios])
        print(f'{n_points} points x {n_channels}, {n_clusters} clusters, {n_iter} iterations')
        print(table)


def print_losses(report: dict) -> None:
    """Seconds per kind of anchor."""
    table = PrettyTable(['losses, anchors', 's', 'x full', 'peak MiB'], align='r')
    for name, run in report['runs'].items():
        table.add_row([name, f'{run["seconds"]:.4f}', f'{run["seconds"] / report["runs"]["full"]["seconds"]:.3f}',
                       f'{run["peak_bytes"] / 2**20:.0f}'])
    print(f'losses forward and backward, batch {report["batch_size"]} of {report["size"]} px')
    print(table)


def choose_device(name: Optional[str]) -> None:
    """Hide the GPUs for ``'cpu'``, and make sure that there is one for ``'cuda'``."""
    if name == 'cpu':
        os.environ['CUDA_VISIBLE_DEVICES'] = ''
    elif name == 'cuda' and not torch.cuda.is_available():
        raise ValueError('--device cuda: torch finds no GPU; check the driver and the build of torch '
                         f'({torch.__version__})')


def measures_losses(cfg: Config) -> bool:
    """Whether a config is of the method whose losses are measured by themselves."""
    return issubclass(class_of(cfg.model, MODELS) or type, MaskContrast)


def measure_kmeans(cfg: Config, n_points: int, n_clusters: Optional[Sequence[int]] = None,
                   n_images: Optional[int] = None, size: Tuple[int, int] = (640, 480)) -> dict:
    """k-means by itself, on features of the images at the start of the training; by default with as many clusters.

    Args:
        n_images, size: see :func:`measure_config`.
    """
    with _at_hand(cfg, n_images, size):
        adapt(cfg, warmup=0)
        rows = start_features(ConsoleRunner.from_cfg(cfg), n_points)
    n_iter = 20
    runs = {k: time_lloyd(rows, k, n_iter) for k in n_clusters or [cfg.model.decode_head.n_clusters]}
    return dict(points=len(rows), channels=rows.size(1), iterations=n_iter, runs=runs)


def measure_losses(cfg: Config) -> dict:
    """The losses of MaskContrast, and of no other method, by themselves, on random maps of stride 8."""
    if not measures_losses(cfg):
        raise ValueError(f'--only losses measures mmseg_unsup.MaskContrast, but the config has {cfg.model.type}')
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model).to(default_device())
    batch_size = min(32, cfg.train_dataloader.batch_size)
    return dict(batch_size=batch_size, size=cfg.size, runs=time_losses(model, batch_size, cfg.size))


def measures_features(cfg: Config) -> bool:
    """Whether a config has nothing that trains, so that its features are all there is to measure."""
    return not cfg.get('train_dataloader')


def measure_features(cfg: Config, n_images: Optional[int] = None, size: Tuple[int, int] = (640, 480)) -> dict:
    """The features of a frozen backbone, see :func:`mmseg_unsup.analysis.feature_benchmark.time_features`.

    Args:
        n_images, size: see :func:`measure_config`.

    Raises:
        ValueError: its outputs are not rounded, so that they cannot be stored.
    """
    if not cfg.model.backbone.get('float16'):
        raise ValueError('--only features measures an mmseg_unsup.FrozenBackbone with float16=True, but model.backbone '
                         f'is a {cfg.model.backbone.type} without')
    with _at_hand(cfg, n_images, size):
        runner = ConsoleRunner.from_cfg(cfg)
        return dict(time_features(runner, cfg.work_dir), config=cfg.filename, precision=runner.model.backbone.precision)


def print_features(report: dict) -> None:
    """Images and bytes a second of each phase, and memory."""
    table = PrettyTable(['phase', 'images/s', 'CPU ms/image', 'MB/s'], float_format='.1', align='r')
    for name, phase in report['phases'].items():
        rate = report['bytes'] / phase['wall'] / 1e6
        table.add_row([name, report['images'] / phase['wall'], 1000 * phase['cpu'] / report['images'],
                       f'{rate:.0f}' if name in ('store', 'write', 'read') else '-'])
    print(f'{report["config"]}, {report["images"]} images in {report["precision"]}')
    print(table)
    peaks = ', '.join(f'{report[f"{name}_bytes"] / 2**20:.0f} MiB {meaning}' for name, meaning in (
        ('computed', 'computing'), ('stored', 'storing'), ('read', 'reading, with what is cached of the files'),
        ('worker', 'a data worker')) if report[f'{name}_bytes'])
    print(f'{sized(report["bytes"])} stored; peak memory: {peaks}')


@contextmanager
def _at_hand(cfg: Config, n_images: Optional[int], size: Tuple[int, int]) -> Iterator[None]:
    """A block in which the config has its images and a folder to write to."""
    with tempfile.TemporaryDirectory() as folder:
        cfg.work_dir = cfg.get('work_dir') or folder
        if n_images:
            images = osp.join(folder, 'images')
            os.mkdir(images)
            use_synthetic_images(cfg, n_images, size, images)
        yield


def measure_config(cfg: Config, warmup: int = 1, n_images: Optional[int] = None, size: Tuple[int, int] = (640, 480),
                   parts: bool = True) -> dict:
    """The epoch of a config, in ``cfg.work_dir`` or, without one, in a folder that goes.

    Args:
        warmup: epochs before the measured one.
        n_images: use so many synthetic images instead of the data set.
        size: of these, (W, H).
        parts: also measure what the phases consist of, on a CPU; compiled code cannot be watched inside.
    """
    with _at_hand(cfg, n_images, size):
        adapt(cfg, warmup)
        runner = ConsoleRunner.from_cfg(cfg)
        loading = measure_loading(runner)
        # on a GPU kernels run later than they are called
        seconds = measure_epoch(runner, warmup, parts and not torch.cuda.is_available())
        return summarise(runner, loading, seconds, cfg.work_dir)
