"""The released PiCIE code and configs of this package, in turns on one machine: the work of ``mmseg-unsup
side-by-side``."""
import multiprocessing
import os
import os.path as osp
import statistics
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.util import find_spec
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple
from unittest import mock

import torch
from mmengine.config import Config

from ..engine.runner import ConsoleRunner
from ..registry import DATASETS
from ..utils.atomic import write_json
from ..utils.console import counted, quiet_console, say
from ..utils.cpu import cpu_has, cpu_name
from ..utils.score_table import markdown_table
from ..utils.speed import keep_freed_memory
from .benchmark import TRAINING, adapt, measure_epoch
from .experiments import planned_config
from .released_picie import NEEDED, Work, archive_of, time_released
from .stopwatch import Seconds

RELEASED = 'released'
_CONFIGS = 'mmseg_unsup::picie/'
# what is measured beside the released code, see parse_variant
OURS = (f'float32={_CONFIGS}picie_fpn_camvid.py', f'--amp={_CONFIGS}picie_fpn_camvid.py,amp',
        f'plain={_CONFIGS}picie_plain_fpn_camvid.py', f'parity={_CONFIGS}picie_fpn_camvid_parity.py')
# abilities of a CPU that decide what bfloat16 gains, as Linux calls them
ABILITIES = 'avx512f', 'avx512_bf16', 'amx_tile'
_KNOWN = {None: 'unknown', True: 'yes', False: 'no'}
TITLES = dict(cluster='clustering', label='labels', train='training')
# hooks that work after an epoch, and evaluation: the released code is measured without them too
_AFTER_EPOCH = 'checkpoint', 'fresh_kmeans', 'report', 'cluster_pictures'


class Variant(NamedTuple):
    """A config with options, by a short name."""
    name: str
    config: str
    words: Tuple[str, ...]
    amp: bool


def parse_variant(text: str) -> Variant:
    """``NAME=CONFIG[,KEY=VALUE...][,amp]``, in which values have no commas.

    Raises:
        ValueError: it is written in another way.
    """
    name, _, rest = text.partition('=')
    config, *words = rest.split(',')
    options = tuple(word for word in words if word != 'amp')
    if not name or not config or name == RELEASED or not all(word.find('=') > 0 for word in options):
        raise ValueError(f'--ours takes NAME=CONFIG[,KEY=VALUE...][,amp] with a name other than {RELEASED}, but it is '
                         f'{text!r}')
    return Variant(name, config, options, 'amp' in words)


def plan(variants: Sequence[str], data_root: str, init: Optional[str], n_images: Optional[int], n_warmup: int
         ) -> Tuple[Work, List[Variant]]:
    """What is measured; sizes are those of the first config.

    Raises:
        ValueError: a wrong variant, config or number; a package that the released code needs is not there.
    """
    ours = [parse_variant(text) for text in variants]
    names = [variant.name for variant in ours]
    if len(set(names)) < len(names):
        raise ValueError(f'--ours has a name twice ({", ".join(names)}): give each its own')
    if init is not None and not osp.isfile(init):
        raise ValueError(f'--init {init}: there is no such file: give one of ResNet-18 weights, or leave it out')
    data_root = osp.abspath(data_root)
    cfg = planned_config(ours[0].config, [f'data_root={data_root}', *ours[0].words])
    images = train_images(cfg)
    n_images = n_images or len(images)
    if not n_warmup <= n_images <= len(images):
        raise ValueError(f'--images {n_images} must lie between --warmup-images {n_warmup} and the {len(images)} '
                         f'training images of {data_root}')
    work = Work(data_root, images[:n_images], n_warmup, init and osp.abspath(init), cfg.size,
                cfg.model.decode_head.n_clusters, cfg.train_dataloader.batch_size)
    for variant in ours:
        config_of(variant, work, n_images)  # what is wrong with one is said before another has run
    return work, ours


def train_images(cfg: Config) -> Tuple[str, ...]:
    """Paths of the training images of a config."""
    dataset = DATASETS.build(cfg.train_dataloader.dataset.dataset)
    return tuple(dataset.get_data_info(i)['img_path'] for i in range(len(dataset)))


def check_packages(packages: Optional[str]) -> None:
    """Raise ValueError for what the released code imports and finds neither here nor in a further folder."""
    for name in NEEDED:
        if find_spec(name) is None and not (packages and osp.isdir(osp.join(packages, name))):
            raise ValueError(f'the released code needs {name}, which is not installed: pip install {name}'
                             f'{"-cpu" if name == "faiss" else ""}, or name the folder of packages that has it with '
                             '--packages')


def config_of(variant: Variant, work: Work, n_images: int) -> Config:
    """One epoch of a config on some of the images, without evaluation and checkpoints."""
    words = [f'data_root={work.data_root}', f'init={work.weights}', f'randomness.seed={work.seed}',
             *(f'{loader}.dataset.dataset.indices={n_images}' for loader in ('train_dataloader', 'probe_dataloader')),
             f'train_dataloader.batch_size={work.batch_size}', *variant.words]
    cfg = planned_config(variant.config, words, ['--amp'] * variant.amp)
    adapt(cfg, warmup=0)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.default_hooks.update(dict.fromkeys(_AFTER_EPOCH))
    return cfg


def time_ours(variant: Variant, work: Work) -> Dict[str, Seconds]:
    """Seconds by phase of an epoch of a config, in this process."""
    torch.set_num_threads(1)
    keep_freed_memory()
    # one folder, as what writes the logs of a process keeps that of its first run
    with quiet_console(), tempfile.TemporaryDirectory() as folder:
        for n_images in (work.n_warmup, len(work.images)):
            cfg = config_of(variant, work, n_images)
            cfg.work_dir = folder
            seconds = measure_epoch(ConsoleRunner.from_cfg(cfg), warmup=0, parts=False)
    return {phase: cost for (phase, _), cost in seconds.items()}


def run_apart(name: str, function: Callable, *args) -> Any:
    """Call a function in a process of its own, on one thread and without GPUs."""
    alone = dict(OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    with mock.patch.dict(os.environ, alone), ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as pool:
        try:
            return pool.submit(function, *args).result()
        except BrokenProcessPool:
            raise RuntimeError(f'{name}: the process that measured it was ended from outside, mostly as the memory is '
                               'full: take fewer --images') from None
        except Exception as error:
            raise error from None  # the traceback of the other process is no part of the sentence


def measure(clone: str, work: Work, ours: Sequence[Variant], repeats: int, packages: Optional[str] = None,
            out: Optional[str] = None) -> dict:
    """Every code once, then again; what has been measured is written after each of them."""
    archive = archive_of(clone)
    jobs: Dict[str, tuple] = {RELEASED: (time_released, archive, work, packages)}
    jobs.update((variant.name, (time_ours, variant, work)) for variant in ours)
    report = dict(machine=describe_machine(), work=dict(work._asdict(), images=len(work.images)),
                  ours=[variant._asdict() for variant in ours], runs={name: [] for name in jobs})
    for repeat in range(repeats):
        for name, job in jobs.items():
            seconds = run_apart(name, *job)
            report['runs'][name].append({phase: seconds[phase]._asdict() for phase in TRAINING})
            user = sum(seconds[phase].user for phase in TRAINING) / len(work.images)
            say(f'repeat {repeat + 1} of {repeats}, {name}: {user:.3f} s of user time an image')
            if out:
                write_json(out, report)
    report['ratios'] = {name: ratios_of(runs, report['runs'][RELEASED]) for name, runs in report['runs'].items()}
    return report


def ratios_of(runs: Sequence[dict], released: Sequence[dict]) -> Dict[str, Tuple[float, float, float]]:
    """Cost over that of the released code in the same repeat, as median, lowest and highest of the repeats.

    Args:
        runs, released: a repeat is phase -> ``wall``, ``cpu`` and ``user``.

    Returns:
        dict: of user time, each phase and their ``sum``; ``cpu`` and ``wall`` of the sum.
    """
    parts = {phase: ([phase], 'user') for phase in TRAINING}
    parts.update(sum=(TRAINING, 'user'), cpu=(TRAINING, 'cpu'), wall=(TRAINING, 'wall'))
    result = {}
    for name, part in parts.items():
        ratios = [cost_of(ours, *part) / cost_of(theirs, *part) for ours, theirs in zip(runs, released)]
        result[name] = statistics.median(ratios), min(ratios), max(ratios)
    return result


def cost_of(run: dict, phases: Sequence[str], kind: str) -> float:
    """Seconds of some phases."""
    return sum(run[phase][kind] for phase in phases)


def spread_of(runs: Sequence[dict]) -> Tuple[float, float]:
    """Lowest and highest user time of the repeats, over their median."""
    sums = [cost_of(run, TRAINING, 'user') for run in runs]
    return min(sums) / statistics.median(sums), max(sums) / statistics.median(sums)


def describe_machine() -> Dict[str, Any]:
    """CPU, torch, and whether the CPU has what computes in bfloat16; None where the system does not say."""
    return dict(cpu=cpu_name(), torch=str(torch.__version__),
                abilities={ability: cpu_has(ability) for ability in ABILITIES})


def table_of(report: dict) -> str:
    """Head and table of ratios."""
    machine, work, runs = report['machine'], report['work'], report['runs']
    has = ', '.join(f'{name} {_KNOWN[value]}' for name, value in machine['abilities'].items())
    low, high = spread_of(runs[RELEASED])
    head = (f'{machine["cpu"]}, one thread, torch {machine["torch"]}; {has}\n'
            f'{work["images"]} images, {work["size"]} px, K = {work["n_clusters"]}, batch {work["batch_size"]}; '
            f'{counted(len(runs[RELEASED]), "repeat")} in turns; the released code itself varies from {low:.2f} to '
            f'{high:.2f}\n'
            'cost of a training epoch, times that of the released code: median (lowest to highest)\n')
    titles = ['user time', *TITLES.values(), 'epoch', 'with system time', 'on the clock']
    rows = [[name, *map(format_ratio, ratios.values())] for name, ratios in report['ratios'].items()
            if name != RELEASED]
    return f'{head}\n{markdown_table(titles, rows)}'


def format_ratio(ratio: Tuple[float, float, float]) -> str:
    """``0.72 (0.70 to 0.74)``"""
    median, low, high = ratio
    return f'{median:.2f} ({low:.2f} to {high:.2f})'
