"""What the features of a frozen backbone cost: computed, stored, and read again."""
import os.path as osp
import tempfile
from glob import glob
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from typing import Dict

import torch
from mmengine.runner import Runner

from ..datasets.feature_store import FeatureStore
from ..engine.feature_cache import CacheSettings, store_features
from ..engine.probe_loader import probe_dataloader
from ..engine.starting import load_start
from ..utils.progress import track_progress
from .stopwatch import REST, Stopwatch


@torch.no_grad()
def time_features(runner: Runner, folder: str) -> Dict[str, object]:
    """Images of ``probe_dataloader``, computed once, stored once and read once.

    Args:
        runner: of a config whose backbone is a :class:`mmseg_unsup.FrozenBackbone` with ``float16=True``.
        folder: for the store, which goes.

    Returns:
        dict: ``images``; ``bytes`` of the store; ``phases``, name -> ``wall`` and ``cpu`` seconds; the peak of memory
        so far, ``computed_bytes``, ``stored_bytes``, ``read_bytes`` (with what the system holds of the files) and, of
        a data worker, ``worker_bytes``.
    """
    model = load_start(runner)
    loader, stopwatch = probe_dataloader(runner), Stopwatch(model.data_preprocessor.device)
    loader.dataset.set_key(runner.seed, 0)
    n_images, peaks = len(loader.dataset), {}
    _compute(model, loader, stopwatch)
    peaks['computed_bytes'] = _peak(RUSAGE_SELF)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        stopwatch.watch(FeatureStore, 'write', part='write')
        with stopwatch.span('store'):
            store_features(model, loader, CacheSettings(place), runner.seed)
        stopwatch.release()
        peaks['stored_bytes'] = _peak(RUSAGE_SELF)
        n_bytes = sum(osp.getsize(path) for path in glob(osp.join(place, '*', '*.npy')))
        with stopwatch.span('read'):
            _read(model, loader)
    peaks.update(read_bytes=_peak(RUSAGE_SELF), worker_bytes=_peak(RUSAGE_CHILDREN))
    return dict(images=n_images, bytes=n_bytes, phases=_phases(stopwatch), **peaks)


def _compute(model: torch.nn.Module, loader, stopwatch: Stopwatch) -> None:
    """The network alone on batches, and the features that are made by it, on the same batches."""
    backbone, batches = model.backbone, iter(loader)
    _run_network(backbone, model.data_preprocessor(next(iter(loader)), True)['inputs'][0])  # the first is slower
    with track_progress('features', len(loader.dataset)) as advance:
        for _ in range(len(loader)):
            with stopwatch.span('load'):
                images = model.data_preprocessor(next(batches), True)['inputs'][0]
            with stopwatch.span('network alone'):
                _run_network(backbone, images)
            with stopwatch.span('features'):
                backbone(images)
            advance(len(images))


def _run_network(backbone: torch.nn.Module, images: torch.Tensor) -> None:
    with backbone.one_precision(images.device.type):
        backbone.compute(images, backbone.out)


def _read(model: torch.nn.Module, loader) -> None:
    with track_progress('reading', len(loader.dataset)) as advance:
        for batch in loader:
            advance(len(model.backbone(model.data_preprocessor(batch, True)['inputs'][0])[0]))


def _phases(stopwatch: Stopwatch) -> Dict[str, dict]:
    """Of storing, what writing the files takes by itself too."""
    found: Dict[str, dict] = {}
    for (phase, part), cost in stopwatch.seconds.items():
        for name in (phase, part) if part == 'write' else (phase, ) if phase != REST else ():
            so_far = found.setdefault(name, dict(wall=0., cpu=0.))
            so_far.update(wall=so_far['wall'] + cost.wall, cpu=so_far['cpu'] + cost.cpu)
    return found


def _peak(whose: int) -> int:
    return 1024 * getrusage(whose).ru_maxrss
