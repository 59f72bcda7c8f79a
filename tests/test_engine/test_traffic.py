"""What processes tell each other, call by call and byte by byte, counted where torch hands it to the backend: the
formulas of docs/scale.md."""
import contextlib
import json
import os
import re
from collections import Counter
from pathlib import Path
from unittest import mock

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from mmengine.runner import Runner
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmseg_unsup.clustering import StreamSettings
from mmseg_unsup.engine.fitting.fit import MAX_CELLS
from mmseg_unsup.engine.hooks import FreshKMeansHook, PixelClusteringHook
from mmseg_unsup.engine.hooks.pixel_clustering_hook import CELLS_PER_CLUSTER
from mmseg_unsup.registry import MODELS
from mmseg_unsup.utils.config import load_config
from mmseg_unsup.utils.distributed import open_process_group
from ..conftest import ROOT, write_images
from ..forks import spawn
from .tiny import tiny_config

N_RANKS, N_IMAGES, BATCH = 2, 8, 2
CHANNELS, CLUSTERS = 16, (3, 5)  # of the features; of the two levels
STREAM = dict(init_images=4, update_images=2)
N_ITER, N_INIT = 3, 2  # iterations and, of the fresh k-means, starts
FLOAT, DOUBLE = 4, 8


class Traffic(TorchDispatchMode):
    """Counts, by phase, collectives and the bytes that this rank gives to each; those of DDP in a backward pass too."""

    def __init__(self) -> None:
        super().__init__()
        self.phase, self.calls, self.normalised = 'rest', Counter(), []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace == 'c10d':
            name = func._schema.name.removeprefix('c10d::').strip('_')
            given = [value for value in tree_leaves(args['gather' in name]) if isinstance(value, torch.Tensor)]
            self.calls[f'{self.phase}/{name}/{sum(value.numel() * value.element_size() for value in given)}'] += 1
        return func(*args, **(kwargs or {}))

    @contextlib.contextmanager
    def watch(self, owner, attribute: str, phase: str):
        """Book the calls of a method on a phase."""
        method = getattr(owner, attribute)

        def watched(*args, **kwargs):
            before, self.phase = self.phase, phase
            try:
                return method(*args, **kwargs)
            finally:
                self.phase = before

        with mock.patch.object(owner, attribute, watched):
            yield

    def batch_norm(self, features, mean, var, weight=None, bias=None, training=False, *args):
        """Notes the channels of each call of a step that uses the statistics of the batch, as ``SyncBN`` shares."""
        if training and self.phase == 'step':
            self.normalised.append(features.size(1))
        return batch_norm(features, mean, var, weight, bias, training, *args)


batch_norm = F.batch_norm


def train(rank: int, folder: str) -> None:
    """An epoch and its evaluation in a group of processes; leaves what was counted."""
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(N_RANKS))
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=N_RANKS)
    fits = {f'default_hooks__{hook}__{key}': value for hook in ('clustering', 'fresh_kmeans')
            for key, value in dict(STREAM, kmeans__n_iter=N_ITER).items()}
    cfg = tiny_config(f'{folder}/images', Path(folder) / 'work', n_clusters=CLUSTERS[0], **fits,
                      default_hooks__fresh_kmeans__kmeans__n_init=N_INIT,
                      train_dataloader__batch_size=BATCH, probe_dataloader__batch_size=BATCH,
                      model__over_clustering=[(CLUSTERS[1], 1.)])
    cfg.launcher = 'pytorch'
    open_process_group(cfg)
    runner, traffic = Runner.from_cfg(cfg), Traffic()
    with contextlib.ExitStack() as stack:
        for owner, attribute, phase in ((PixelClusteringHook, 'fit', 'cluster'), (FreshKMeansHook, 'fit', 'fresh'),
                                        (runner.train_loop, 'run_iter', 'step'), (runner.val_loop, 'run', 'evaluate')):
            stack.enter_context(traffic.watch(owner, attribute, phase))
        stack.enter_context(mock.patch.object(F, 'batch_norm', traffic.batch_norm))
        stack.enter_context(traffic)
        runner.train()
    trained = sum(param.numel() for param in runner.model.parameters() if param.requires_grad)
    layers = norm_channels(runner.model.module)
    with open(f'{folder}/{rank}.json', 'w') as file:
        json.dump(dict(calls=traffic.calls, normalised=traffic.normalised, trained=trained, layers=layers), file)
    dist.destroy_process_group()


def norm_channels(model) -> list:
    """Of each layer of batch norm of the network that is trained."""
    return [module.num_features for module in model.backbone.modules() if isinstance(module, _BatchNorm)]


def traffic_of_fit(n_views: int, clusters, n_init: int) -> Counter:
    """The formula: (collective, bytes) -> calls of a k-means on a pass over the images, with random starts."""
    n_updates = -(-(N_IMAGES - STREAM['init_images']) // STREAM['update_images'])
    calls = Counter({('allreduce', (STREAM['init_images'] + 1) * DOUBLE): 1})  # rows of the images of the first sample
    calls['allreduce', DOUBLE] += n_views + N_IMAGES // (N_RANKS * BATCH)  # channels; per batch, whether to stop
    n_centers = n_init * sum(clusters)  # of all levels and starts, which iterate together
    calls['allreduce', n_centers * (CHANNELS + 2) * DOUBLE] += n_views * N_ITER
    for k in clusters:
        calls['allreduce', k * CHANNELS * FLOAT] += n_views * n_init  # rows to start from
        calls['allreduce', k * (CHANNELS + 2) * DOUBLE] += n_views * n_updates
        calls['broadcast', k * CHANNELS * DOUBLE] += n_views * (1 + n_updates)
    return calls


@pytest.fixture(scope='module')
def counted(tmp_path_factory) -> list:
    """What was counted, by rank; calls as phase -> (collective, bytes) -> number."""
    folder = tmp_path_factory.mktemp('traffic')
    write_images(folder / 'images', N_IMAGES)
    spawn(train, (str(folder), ), nprocs=N_RANKS)
    found = [json.loads((folder / f'{rank}.json').read_text()) for rank in range(N_RANKS)]
    for of_rank in found:
        phases = {}
        for key, number in of_rank['calls'].items():
            phase, name, size = key.split('/')
            phases.setdefault(phase, Counter())[name, int(size)] = number
        of_rank['calls'] = phases
    return found


cpu_only = pytest.mark.skipif(torch.cuda.is_available(), reason='tests the launch without a GPU')


@pytest.mark.slow
@cpu_only
def test_fits(counted):
    """No row of a feature map travels but those that k-means starts from."""
    for of_rank in counted:
        assert of_rank['calls']['cluster'] == traffic_of_fit(2, CLUSTERS, 1)
        assert of_rank['calls']['fresh'] == traffic_of_fit(1, CLUSTERS[:1], N_INIT)


@pytest.mark.slow
@cpu_only
def test_steps_and_evaluation(counted):
    n_steps = N_IMAGES // (N_RANKS * BATCH)
    for of_rank in counted:
        step = of_rank['calls']['step']
        # is the loss finite, and was a rank told to stop
        assert step.pop(('allreduce', FLOAT)) == step.pop(('allreduce', DOUBLE)) == n_steps
        gradients = sum(size * number for (name, size), number in step.items() if name == 'allreduce')
        assert gradients == n_steps * FLOAT * of_rank['trained']
        # what SyncBN shares on GPUs, which gloo has not: the layers of the trained network, for both views
        assert sorted(of_rank['normalised']) == sorted(2 * n_steps * of_rank['layers'])
        evaluation = of_rank['calls']['evaluate']
        assert evaluation.pop(('allreduce', DOUBLE)) == N_IMAGES // N_RANKS  # in batches of one image
        assert sum(size * number for (_, size), number in evaluation.items()) < 2**10


def test_numbers_of_the_document():
    """Sizes of the network, updates and efficiencies that docs/scale.md works out."""
    cfg = load_config(os.path.join(ROOT, 'configs', 'picie', 'picie_fpn_cocostuff.py'))
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model)
    layers = norm_channels(model)
    with open(os.path.join(ROOT, 'docs', 'scale.md')) as file:
        text = ' '.join(file.read().split())
    gradients = FLOAT * sum(param.numel() for param in model.parameters() if param.requires_grad)
    assert f'{gradients / 1e6:.1f} MB of gradients' in text
    assert f'{len(layers)} layers of batch norm with {sum(layers)} channels' in text
    default = StreamSettings().stream['update_images']
    assert f'reads {-(-108 * CELLS_PER_CLUSTER // MAX_CELLS)} images' in text
    n_updates, n_calls, size = updates_of(default)
    assert f'{n_updates} updates of 6 models: {size / 1e6:.0f} MB in {n_calls} calls' in text
    percents = [round(100 * efficiency_of_clustering(default, n_gpus)) for n_gpus in (8, 64)]
    assert f'the efficiency is {percents[0]} % on 8 and {percents[1]} % on 64' in text
    many, n_many = round(100 * efficiency_of_clustering(2048, 64)), updates_of(2048)[0]
    assert f'update_images=2048` makes {n_many} updates and {many} %' in text
    for batch in (128, 16):
        row = re.search(rf'\| {batch} \|([^|]+)\|([^|]+)\|([^|]+)\|', text).groups()
        alone = batch / IMAGES_PER_SECOND
        shares = [efficiency(alone, n_gpus, gradients, 4 * len(layers) + 4) for n_gpus in (8, 64)]
        assert [int(cell) for cell in row] == [1000 * alone, *(round(100 * share) for share in shares)]


IMAGES_PER_SECOND = 1000  # in training on one GPU, assumed


def updates_of(update_images: int) -> tuple:
    """Of a clustering of all images of COCO-Stuff: updates, their calls and bytes."""
    n_updates = -(-(49_629 - StreamSettings().stream['init_images']) // update_images)
    sizes = [27, 54, 108] * 2
    return n_updates, 2 * len(sizes) * n_updates, n_updates * sum(sizes) * (2 * 128 + 2) * DOUBLE


def efficiency_of_clustering(update_images: int, n_gpus: int) -> float:
    _, n_calls, size = updates_of(update_images)
    return efficiency(49_629 / (4 * IMAGES_PER_SECOND) / n_gpus, n_gpus, size, n_calls)


def efficiency(alone: float, n_gpus: int, size: float, n_calls: int) -> float:
    """Seconds without others, over those with them, by the assumptions of the document, none of which was measured."""
    bandwidth, latency = (200e9, 30e-6) if n_gpus == 8 else (12.5e9, 100e-6)
    return alone / (alone + 2 * (n_gpus - 1) / n_gpus * size / bandwidth + n_calls * latency)
