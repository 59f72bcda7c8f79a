"""What an epoch may cost, and options that must not change what is computed."""
import re
import shutil
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook

from mmseg_unsup.datasets.transforms.loading import LoadImage
from mmseg_unsup.engine.feature_pass import limit_images, set_view_key
from mmseg_unsup.engine.fitting import feature_batches, fit
from mmseg_unsup.engine.hooks import ObjectClusteringHook, pixel_clustering_hook
from mmseg_unsup.engine.hooks import CompileHook
from ..conftest import ROOT
from ..test_models import test_mask_contrast as mask_contrast
from .tiny import feats_of_the_teacher, tiny_runner

N_IMAGES = 8


class CountingHook(Hook):
    """Counts images decoded and images put through a backbone, per epoch."""
    priority = 'HIGHEST'

    def __init__(self, monkeypatch):
        self.epochs, self.current = [], Counter()
        load = LoadImage.transform

        def counted(transform, results):
            self.current['decoded'] += 1
            return load(transform, results)

        monkeypatch.setattr(LoadImage, 'transform', counted)

    def before_train(self, runner):
        for name in ('backbone', 'target_generator.backbone'):
            runner.model.get_submodule(name).register_forward_pre_hook(self.count)

    def count(self, module, inputs):
        self.current['trained' if torch.is_grad_enabled() else 'inferred'] += len(inputs[0])

    def before_train_epoch(self, runner):
        self.current.clear()

    def after_train_epoch(self, runner):
        self.epochs.append(dict(self.current))


def test_an_epoch_decodes_twice_and_infers_four_times(image_folder, tmp_path, monkeypatch):
    """Clustering and labels: one forward per view each; training: one per view. Nothing else, and no label files."""
    counts = CountingHook(monkeypatch)
    runner = tiny_runner(image_folder, tmp_path / 'run', max_epochs=2, model__target_generator__epochs=4)
    runner.register_hook(counts)
    runner.train()
    assert counts.epochs[0] == dict(decoded=2 * N_IMAGES, trained=2 * N_IMAGES, inferred=4 * N_IMAGES)
    written = [path for path in (tmp_path / 'run').rglob('*') if path.is_file() and 'maps' not in path.parts]
    assert not [path for path in written if path.suffix not in ('.pth', '.log', '.json', '.py', '.png', '.html') and
                path.name != 'last_checkpoint']


def test_max_images_bounds_the_clustering(image_folder, tmp_path, monkeypatch):
    counts = CountingHook(monkeypatch)
    runner = tiny_runner(image_folder, tmp_path, default_hooks__clustering__max_images=0.5)
    runner.register_hook(counts)
    runner.train()
    clustered, labelled = N_IMAGES, 2 * N_IMAGES
    assert counts.epochs[0]['decoded'] == N_IMAGES // 2 + N_IMAGES
    assert counts.epochs[0]['inferred'] == clustered + labelled


@pytest.mark.parametrize('cells_per_cluster, max_cells, n_clustered', [
    (100, 1024, 5),  # 300 cells, of maps of 8 x 8 = 64
    (100, 50, 6),  # of an image 50 count
    (200, 1024, N_IMAGES)  # 600 are more than 8 x 64
])
def test_a_clustering_reads_as_many_images_as_are_enough(image_folder, tmp_path, monkeypatch, cells_per_cluster,
                                                         max_cells, n_clustered):
    monkeypatch.setattr(pixel_clustering_hook, 'CELLS_PER_CLUSTER', cells_per_cluster)
    monkeypatch.setattr(fit, 'MAX_CELLS', max_cells)
    counts = CountingHook(monkeypatch)
    runner = tiny_runner(image_folder, tmp_path, train_dataloader__batch_size=2)
    hook = next(hook for hook in runner.hooks if isinstance(hook, pixel_clustering_hook.PixelClusteringHook))
    loader, model = runner.train_dataloader, runner.model
    before = {key: value.clone() for key, value in model.state_dict().items()}, model.training, torch.get_rng_state()
    assert hook.count_images(model, loader) == n_clustered
    assert all(torch.equal(value, before[0][key]) for key, value in model.state_dict().items())
    assert model.training == before[1] and torch.equal(torch.get_rng_state(), before[2])
    runner.register_hook(counts)
    runner.train()
    assert counts.epochs[0]['decoded'] == 2 * -(-n_clustered // 2) + N_IMAGES  # whole batches
    loader.sampler.shuffle = False  # a part of them would always be the same
    assert hook.count_images(model, loader) == N_IMAGES


@pytest.mark.parametrize('hook, n_cells', [('FreshKMeansHook', 65_536 * 3), ('PCAInitHook', 400_000),
                                           ('PixelClusteringHook', 2048 * 5)])
def test_cells_that_are_enough(image_folder, tmp_path, hook, n_cells):
    runner = tiny_runner(image_folder, tmp_path, model__over_clustering=[(5, 1.)])
    assert next(h for h in runner.hooks if type(h).__name__ == hook).needed_cells(runner.model) == n_cells


def test_objects_of_enough_images():
    loader = SimpleNamespace(dataset=range(100_000), sampler=SimpleNamespace(shuffle=True))
    assert ObjectClusteringHook(n_clusters=20).count_images(None, loader) == 512 * 20
    assert ObjectClusteringHook(n_clusters=20, max_images=None).count_images(None, loader) == 100_000


@pytest.mark.parametrize('value, limit', [(None, 8), (5, 5), (50, 8), (0.5, 4), (0.01, 1), (1.0, 8)])
def test_limits(image_folder, tmp_path, value, limit):
    assert limit_images(tiny_runner(image_folder, tmp_path).train_dataloader, value) == limit


@pytest.mark.parametrize('options, message', [
    (dict(default_hooks__clustering__max_images=0), 'max_images must be .* a positive number'),
    (dict(default_hooks__clustering__max_images=1.5), 'max_images must be .* a positive number'),
    (dict(default_hooks__clustering__max_images=4, train_dataloader__sampler__shuffle=False), 'set shuffle=True'),
])
def test_bad_limits_fail_before_the_run(image_folder, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        tiny_runner(image_folder, tmp_path, **options).train()


PASS = '''
import resource, sys, torch
from mmseg_unsup.clustering import MiniBatchKMeans, StreamingKMeans
torch.set_num_threads(1)
n_images, feats = int(sys.argv[1]), torch.nn.functional.normalize(torch.randn(8, 64, 40, 40), dim=1)
stream = StreamingKMeans([[MiniBatchKMeans(11)]], n_images, 5120, 256, init_pixels=50_000)
for start in range(0, n_images, 8):
    stream.add(range(start, start + 8), [feats.roll(start, 1)])
stream.finish()
print('KiB', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
'''


def test_memory_of_a_clustering_pass_is_flat():
    """Peak memory of a process with ten times the images is the same."""
    peaks = []
    for n_images in (400, 4000):
        done = subprocess.run([sys.executable, '-c', PASS, str(n_images)], cwd=ROOT, text=True, capture_output=True)
        peaks.append(int(re.search(r'KiB (\d+)', done.stdout)[1]))
    assert peaks[1] < 1.05 * peaks[0]


def bfloat16_runner(root, work_dir, **options):
    return tiny_runner(root, work_dir, optim_wrapper__type='mmseg_unsup.BFloat16OptimWrapper', **options)


def test_bfloat16_trains_float32_weights_near_those_of_float32(image_folder, tmp_path):
    expected = tiny_runner(image_folder, tmp_path / 'plain').train().state_dict()
    weights = bfloat16_runner(image_folder, tmp_path / 'half').train().state_dict()
    moved = [key for key in weights if not torch.equal(weights[key], expected[key])]
    assert moved and all(value.isfinite().all() for value in weights.values())
    assert {value.dtype for value in weights.values()} == {torch.float32, torch.int64}
    difference = (weights['backbone.conv1.weight'] - expected['backbone.conv1.weight']).norm()
    assert 0 < difference < 0.1 * expected['backbone.conv1.weight'].norm()


def test_labels_in_bfloat16_are_those_of_the_clustering(image_folder, tmp_path):
    """Both run in the precision of passes without gradient; distances are float32."""
    runner = bfloat16_runner(image_folder, tmp_path)
    runner.train()
    model, loader = runner.model, runner.train_dataloader
    model.eval()
    set_view_key(loader, runner.seed, 0)
    clustered = {}
    for batch in feature_batches(model, loader, 'test'):
        for v, feat in enumerate(batch.made('labelled', feats_of_the_teacher)):
            assert feat.dtype == torch.float32
            for position, cells in zip(batch.positions, feat.double()):
                distances = (cells[None] - model.levels[0].prototypes[v][:, :, None, None].double()).square().sum(1)
                clustered[position, v] = distances.argmin(0)
    equal, position = [], 0
    for batch in loader:
        batch = model.data_preprocessor(batch, True)
        with torch.no_grad():
            by_view = model.target_generator(batch['inputs'], batch['data_samples'])[0]
        for i in range(len(batch['data_samples'])):
            equal += [(by_view[v][i] == clustered[position, v]).double().mean() for v in range(2)]
            position += 1
    assert position == N_IMAGES and torch.stack(equal).mean() > 0.999


def test_compiled_parts_compute_the_same_and_keep_their_names(image_folder, tmp_path):
    expected = tiny_runner(image_folder, tmp_path / 'plain').train().state_dict()
    compiled = tiny_runner(image_folder, tmp_path / 'compiled',
                           default_hooks__compile=dict(type='mmseg_unsup.CompileHook', backend='aot_eager')).train()
    weights = compiled.state_dict()
    assert weights.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(weights[key], value, atol=1e-3, rtol=1e-3)
    assert compiled.backbone._compiled_call_impl is not None


no_compiler = pytest.mark.skipif(shutil.which('g++') is None, reason='inductor needs a C++ compiler')


@pytest.mark.slow
@pytest.mark.parametrize('backend', ['aot_eager', pytest.param('inductor', marks=[pytest.mark.long, no_compiler])])
def test_compiled_steps_of_mask_contrast(backend):
    """Both branches, their ASPP too: the losses and gradients of two steps."""
    found = []
    for is_compiled in (False, True):
        model = mask_contrast.build()
        if is_compiled:
            CompileHook(backend=backend).before_train(SimpleNamespace(model=model))
            compiled = [name for name, module in model.named_modules() if module._compiled_call_impl is not None]
            assert compiled == ['backbone', 'decode_head.aspp', 'key_branch.module.backbone',
                                'key_branch.module.decode_head.aspp']
        for seed in range(2):
            samples = mask_contrast.samples(*mask_contrast.ONE)
            losses = model.loss(mask_contrast.views(3, seed), samples)
            found.append([*losses.values(), *torch.autograd.grad(
                losses['loss_contrast'] + losses['loss_saliency'], [*model.backbone.parameters()])])
            model.follow()
    for expected, got in zip(found[0] + found[1], found[2] + found[3]):
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-3)
