"""Features that are stored once: what runs make of them, how they are made, and what is refused."""
import errno
import os
import os.path as osp
import shutil
import signal
import time
from glob import glob
from multiprocessing import Pipe, get_context
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.runner import Runner
from torch import nn

from mmseg_unsup.datasets import feature_store
from mmseg_unsup.datasets.transforms import LoadImage
from mmseg_unsup.engine import feature_cache
from mmseg_unsup.engine.feature_cache import CacheSettings, store_features
from mmseg_unsup.engine.feature_pass import NonFiniteError
from mmseg_unsup.engine.hooks.fit_hook import fit_due
from mmseg_unsup.engine.starting import initialize
from mmseg_unsup.engine.testing import test_config as evaluate
from mmseg_unsup.presets import labelled_probe_loader, probe_pipeline, view_loader, view_pipeline
from mmseg_unsup.registry import MODELS
from mmseg_unsup.utils import atomic, preemption
from mmseg_unsup.utils.distributed import open_gloo_group
from ..conftest import write_camvid, write_images
from ..test_models.test_frozen_backbone import frozen_cfg, write_weights
from .resuming import differences, train
from .test_frozen_run import frozen_run
from .test_resume_ranks import free_port, join

pytestmark = pytest.mark.filterwarnings('ignore')


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    from mmengine.registry import init_default_scope
    init_default_scope('mmseg')
    return write_weights(tmp_path_factory.mktemp('weights') / 'weights.pth')


class Model(nn.Module):
    """What is stored of a model: its images as it sees them, and its backbone."""

    def __init__(self, weights, **settings):
        super().__init__()
        self.data_preprocessor = MODELS.build(dict(
            type='mmseg_unsup.MultiViewDataPreProcessor', mean=[100.] * 3, std=[50.] * 3, bgr_to_rgb=True))
        self.backbone = MODELS.build(frozen_cfg(weights, float16=True, **settings))
        self.backbone.init_weights()


@pytest.fixture
def model(weights):
    return Model(weights, out=['layer4', 'layer2'])


def loader_of(root, pipeline=None, **settings):
    images = settings.pop('images', dict(type='mmseg_unsup.UnlabelledFolder', data_root=root))
    num_workers = settings.pop('num_workers', 0)
    config = view_loader(images, pipeline or probe_pipeline(32), batch_size=3, num_workers=num_workers)
    config['dataset'].update(settings)
    config['pin_memory'] = False
    return Runner.build_dataloader(config, seed=0)


def read(model, loader, seed=0, epoch=0) -> dict:
    """Number of an image -> outputs of its views, its labels, and what is recorded of it."""
    loader.dataset.set_key(seed, epoch)
    found = {}
    for batch in loader:
        batch = model.data_preprocessor(batch, True)
        outputs = [level for view in batch['inputs'] for level in model.backbone(view)]
        for i, sample in enumerate(batch['data_samples']):
            labels = sample.gt_sem_seg.data if 'gt_sem_seg' in sample else torch.zeros(0)
            found[sample.sample_idx, sample.replaced] = [*(level[i] for level in outputs), labels], sample.metainfo
    return found


def assert_equal(first: dict, second: dict) -> None:
    assert first.keys() == second.keys() and first
    for key, (tensors, metainfo) in first.items():
        assert metainfo == second[key][1] and len(tensors) == len(second[key][0])
        assert all(torch.equal(*pair) for pair in zip(tensors, second[key][0]))


def no_images(monkeypatch) -> None:
    monkeypatch.setattr(LoadImage, 'transform', lambda *_: pytest.fail('an image was read'))


@pytest.mark.parametrize('kind', ['crops', 'views', 'labels', 'skipped'])
def test_what_is_read_is_what_would_be_computed(model, tmp_path, monkeypatch, kind):
    settings, epochs = {}, [0]
    if kind == 'labels':
        write_camvid(tmp_path)
        prefix = dict(img_path='images/train', seg_map_path='labels/train')
        settings = dict(with_labels=True, pipeline=probe_pipeline(32, labels=True), images=dict(
            type='mmseg_unsup.CamVidDataset', data_root=str(tmp_path), data_prefix=prefix))
    else:
        write_images(tmp_path / 'images', 5)
    if kind == 'views':
        settings, epochs = dict(pipeline=view_pipeline(32), variants=2), [0, 1, 2]
    if kind == 'skipped':
        (tmp_path / 'images' / f'{2:012d}.jpg').write_bytes(b'')
        settings = dict(on_error='skip')
    plain, cached = (loader_of(str(tmp_path / 'images'), **settings) for _ in range(2))
    store_features(model, cached, CacheSettings(str(tmp_path / 'cache')), seed=3)
    expected = [read(model, plain, 3, epoch) for epoch in epochs]
    no_images(monkeypatch)
    for epoch, computed in zip(epochs, expected):
        assert_equal(computed, read(model, cached, 3, epoch))
    assert cached.dataset.unreadable() == plain.dataset.unreadable()


def test_the_same_pixels_have_one_store(model, tmp_path, monkeypatch):
    """What reads labels too, and what writes a setting that is the one by default, sees the pixels of the others."""
    write_camvid(tmp_path)
    images = dict(type='mmseg_unsup.CamVidDataset', data_root=str(tmp_path), data_prefix=dict(
        img_path='images/train', seg_map_path='labels/train'))
    labelled = Runner.build_dataloader(dict(labelled_probe_loader(images, 32, 3, 0), pin_memory=False), seed=0)
    settings = CacheSettings(str(tmp_path / 'cache'))
    store_features(model, loader_of(str(tmp_path), images=images), settings, seed=0)
    expected = read(model, labelled)
    store_features(model, labelled, settings._replace(fill=False), seed=0)
    squashed = loader_of(str(tmp_path), probe_pipeline(32, protocol='squash'), images=images)
    with pytest.raises(ValueError, match='has no features of these images .the nearest there differ in pipeline'):
        store_features(model, squashed, settings._replace(fill=False), seed=0)
    no_images(monkeypatch)
    assert_equal(expected, read(model, labelled))


def test_flips_by_number_of_the_image(model, image_folder, tmp_path):
    loader = loader_of(image_folder)
    images = torch.stack([loader.dataset[i]['inputs'][0] for i in (6, 1)])
    images = model.data_preprocessor(dict(inputs=[images], data_samples=[]), True)['inputs'][0]
    store_features(model, loader, CacheSettings(str(tmp_path), flips=True), seed=0)
    store = loader.dataset.store
    for flipped, pixels in ((False, images), (True, images.flip(-1))):
        for name, level in zip(['layer4', 'layer2'], model.backbone(pixels)):
            assert np.array_equal(store.maps([6, 1], name, flipped=flipped), level.half())
    stored = next(iter(loader))['inputs'][0]
    average = (model.backbone(stored)[0] + model.backbone(stored.flip(-1))[0].flip(-1)) / 2
    assert average.shape == (3, 64, 1, 1)


def counted(model) -> list:
    """Sizes of the batches that the network sees from now on."""
    seen = []
    model.backbone.network.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    return seen


def test_it_goes_on_where_it_was_stopped(model, image_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(feature_store, '_PART_BYTES', 1400)  # two images
    settings, loader, seen, asked = CacheSettings(str(tmp_path)), loader_of(image_folder), counted(model), []

    def stop_at_the_third():
        asked.append(None)
        if len(asked) == 3:
            raise preemption.Preempted

    with monkeypatch.context() as patch:
        patch.setattr(feature_cache, 'stop_if_asked', stop_at_the_third)
        with pytest.raises(preemption.Preempted):
            store_features(model, loader, settings, seed=0)
    assert seen == [1] * (1 + 6) and loader.dataset.store is None  # one to know the shapes
    made = {path: os.stat(path).st_mtime_ns for path in glob(f'{tmp_path}/*/*.npy')}
    assert sorted(map(osp.basename, made)) == ['0-0.npy', '0-2.npy', '0-4.npy']
    os.truncate(next(path for path in made if path.endswith('0-2.npy')), 200)
    feature_store.open_store.cache_clear()  # another process
    del seen[:]
    store_features(model, loader, settings, seed=0)
    assert seen == [1] * (1 + 2 + 2)
    assert sum(os.stat(path).st_mtime_ns == time for path, time in made.items()) == 2
    assert_equal(read(model, loader_of(image_folder)), read(model, loader))


def test_a_part_of_a_process_that_dies_is_made(model, image_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(feature_cache, '_PAUSE', 0.02)
    loader, other, (ours, theirs) = loader_of(image_folder), loader_of(image_folder), Pipe()
    store_features(model, other, CacheSettings(str(tmp_path)), seed=0)
    store = other.dataset.store
    os.remove(osp.join(store.folder, store.parts[0].file))
    feature_store.open_store.cache_clear()
    fresh = feature_store.FeatureStore(store.folder, store.head)
    child = get_context('fork').Process(target=hold, args=(fresh, theirs))
    child.start()
    assert ours.recv() == 1
    monkeypatch.setattr(feature_cache.time, 'sleep', lambda seconds: child.is_alive() and (child.kill(), child.join()))
    seen = counted(model)
    store_features(model, loader, CacheSettings(str(tmp_path)), seed=0)
    assert child.exitcode == -signal.SIGKILL and seen == [1] * (1 + 8)


def test_it_goes_on_where_it_was_killed(model, image_folder, tmp_path, monkeypatch):
    """By kill -9, with half a part in its file."""
    monkeypatch.setattr(feature_store, '_PART_BYTES', 1400)
    child = get_context('fork').Process(target=make_until_killed, args=(model, image_folder, tmp_path))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    left = sorted(osp.basename(path) for path in glob(f'{tmp_path}/*/0-*'))
    assert len(left) == 3 and left[:2] == ['0-0.npy', '0-2.npy'] and left[2].endswith('.part')
    seen, loader = counted(model), loader_of(image_folder)
    store_features(model, loader, CacheSettings(str(tmp_path)), seed=0)
    assert seen == [1] * (1 + 4) and not glob(f'{tmp_path}/*/*.part')
    assert_equal(read(model, loader_of(image_folder)), read(model, loader))


def make_until_killed(model, root, folder) -> None:
    rename = os.replace

    def die(part, path):
        if path.endswith('0-4.npy'):
            os.truncate(part, os.path.getsize(part) // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        rename(part, path)

    atomic.os.replace = die
    store_features(model, loader_of(root), CacheSettings(str(folder)), seed=0)


@pytest.mark.parametrize('keeps_time', [False, True], ids=['written', 'moved'])
def test_a_file_that_changes_is_noticed(model, tmp_path, monkeypatch, keeps_time):
    """Whose size is that of before, and which may bring a time of its own."""
    monkeypatch.setattr(feature_store, '_PART_BYTES', 1400)  # two images
    root, settings = write_images(tmp_path / 'images', 6), CacheSettings(str(tmp_path / 'cache'))
    path, other, *_, last = sorted(glob(f'{root}/*.jpg'))
    os.truncate(other, os.path.getsize(path) + 999)  # what follows the end of a picture is not read
    os.truncate(path, os.path.getsize(other))
    store_features(model, loader_of(root), settings, seed=0)
    before = os.stat(path)
    os.utime(last)  # the same picture
    shutil.copyfile(other, path)
    if keeps_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ValueError, match=f'{path} has changed since its features were stored in .*fill=True'):
        store_features(model, loader_of(root), settings._replace(fill=False), seed=0)
    loader, seen = loader_of(root), counted(model)
    store_features(model, loader, settings, seed=0)
    assert seen == [1] * (1 + 2)
    assert_equal(read(model, loader_of(root)), read(model, loader))


def hold(store, pipe) -> None:
    with store.claim(store.parts) as parts:
        pipe.send(len(parts))
        time.sleep(60)


def test_what_a_store_is_of(model, weights, image_folder, tmp_path):
    """Seed, labels and batches make no difference where nothing is drawn; weights, transforms and files do."""
    fill, only_read = CacheSettings(str(tmp_path / 'cache')), CacheSettings(str(tmp_path / 'cache'), fill=False)
    store_features(model, loader_of(image_folder), fill, seed=0)
    seen = counted(model)
    store_features(model, loader_of(image_folder, num_workers=1), only_read, seed=5)
    assert seen == [1]

    def refused(model, *of_loader) -> str:
        with pytest.raises(ValueError, match='has no features of these images') as error:
            store_features(model, loader_of(*of_loader), only_read, seed=0)
        return str(error.value)

    other = Model(write_weights(tmp_path / 'other.pth', 1), out=['layer4', 'layer2'])
    assert (f'weights {model.backbone.fingerprint} there and {other.backbone.fingerprint} here): name another folder '
            '(feature_cache=DIR), or let them be made') in refused(other, image_folder)
    assert '(the nearest there differ in pipeline [' in refused(model, image_folder, probe_pipeline(64))
    assert "(the nearest there differ in out ['layer4', 'layer2'] there and ['layer1'] here" in refused(
        Model(weights, out=['layer1']), image_folder)
    with open(f'{image_folder}/{3:012d}.jpg', 'ab') as file:
        file.write(b'x')
    assert '(the nearest there differ in sizes_of_files' in refused(model, image_folder)
    os.remove(f'{image_folder}/{3:012d}.jpg')
    assert '(the nearest there differ in images ' in refused(model, image_folder)


@pytest.mark.parametrize('fault', ['drawn', 'sizes', 'space', 'disk', 'infinite'])
def test_what_cannot_be_stored(model, image_folder, tmp_path, monkeypatch, fault):
    pipeline = dict(drawn=view_pipeline(32), sizes=probe_pipeline(32, protocol='full_resolution')).get(fault)
    kind, message = dict(
        drawn=(ValueError, r'drawn anew in every epoch, so their .* let them repeat \(dataset.variants=V'),
        sizes=(ValueError, r'is of images of one size, but .*\.jpg is seen as .* and the others as .*center_crop'),
        space=(ValueError, r'the features of 8 images need .* more in .*, where 0.0 MiB are free: name another folder'),
        disk=(OSError, 'nothing was written, and what was there before is whole: .*/0-0.npy'),
        infinite=(NonFiniteError, "the output 'layer4' of the frozen ResNet is not finite in float16 for .*jpg"))[fault]
    if fault == 'space':
        monkeypatch.setattr(feature_store.shutil, 'disk_usage', lambda folder: SimpleNamespace(free=100))
    elif fault == 'disk':
        monkeypatch.setattr(atomic.os, 'replace', full_disk)
    elif fault == 'infinite':
        model.backbone.network.layer4[1].bn2.bias.data[:] = 1e6
    with pytest.raises(kind, match=message):
        store_features(model, loader_of(image_folder, pipeline), CacheSettings(str(tmp_path / 'cache')), seed=0)
    assert not glob(f'{tmp_path}/cache/*/*.npy*')


def full_disk(part, path, rename=os.replace):
    if not path.endswith('.npy'):
        return rename(part, path)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def hook(folder) -> dict:
    return dict(default_hooks__feature_cache=dict(type='mmseg_unsup.FeatureCacheHook', folder=folder))


def config(root, folder, weights, **options):
    cfg = frozen_run(root, folder, weights, train_cfg__max_epochs=1, train_dataloader__dataset__variants=1, **options)
    cfg.model.backbone.float16 = True
    return cfg


def test_a_run_ends_with_the_same_bits(weights, tmp_path):
    """Of two random views that repeat, and a moving average."""
    root = write_images(tmp_path / 'images', 4)
    cached = hook(str(tmp_path / 'cache'))
    train(config(root, tmp_path / 'plain', weights))
    train(config(root, tmp_path / 'cached', weights, **cached))
    plain, stored = (torch.load(tmp_path / name / 'epoch_1.pth', weights_only=True) for name in ('plain', 'cached'))
    assert differences(plain, stored) == []
    assert len(glob(f'{tmp_path}/cache/*/features.json')) == 2  # of the views, and of the crops for the fresh k-means
    cfg = config(root, tmp_path / 'refused', weights, **cached)
    cfg.model.backbone.float16 = False
    with pytest.raises(ValueError, match='let model.backbone be an mmseg_unsup.FrozenBackbone with float16=True'):
        train(cfg)


def test_an_evaluation_fits_to_what_is_stored(weights, tmp_path, monkeypatch):
    root, reads, load = write_images(tmp_path / 'images', 8), [], LoadImage.transform
    monkeypatch.setattr(LoadImage, 'transform', lambda self, results: reads.append(results) or load(self, results))
    maps, numbers = [], []
    for folder in (None, tmp_path / 'cache', tmp_path / 'cache'):
        cfg = config(root, tmp_path / 'run', weights, model__neck__position=None, **hook(folder and str(folder)))
        del reads[:]
        cfg.test_evaluator = cfg.val_evaluator
        evaluate(cfg, None)
        maps.append([(path.name, path.read_bytes()) for path in sorted((tmp_path / 'run' / 'maps').rglob('*.png'))])
        numbers.append(len(reads))
    assert maps[0] and maps[0] == maps[1] == maps[2]
    # eight for principal components, fresh k-means, evaluation; the first one twice to know what is to be stored
    assert numbers == [8 + 8 + 8, 2 + 8 + 8, 2 + 8]


def test_windows_are_seen_in_the_images(weights, tmp_path):
    """A fit that looks at more than outputs, by the workers that then read what is stored."""
    root, found = write_images(tmp_path / 'images', 4), []
    for folder in (None, tmp_path / 'cache'):
        runner = Runner.from_cfg(config(
            root, tmp_path / 'run', weights, size=96, model__neck__position='consistent',
            probe_dataloader__num_workers=1, probe_dataloader__persistent_workers=True, **hook(folder and str(folder))))
        initialize(runner)
        seen = counted(runner.model)
        fit_due(runner, 'before_test_epoch')
        assert len(seen) == (0 if folder else 4)
        found.append(runner.model.state_dict())
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_much_that_nobody_reads_is_not_stored(weights, tmp_path, capsys):
    root, cache = write_images(tmp_path / 'images', 12), tmp_path / 'cache'
    for n_read, stored in ((2, 0), (6, 1)):
        options = {f'default_hooks__{name}__max_images': n_read for name in ('pca_init', 'fresh_kmeans')}
        initialize(Runner.from_cfg(config(root, tmp_path / 'run', weights, **hook(str(cache)), **options)))
        assert len(glob(f'{cache}/*/features.json')) == stored
    assert 'feature cache: fits read 2 of 12 images, so nothing is stored of these' in capsys.readouterr().out


def make_share(rank, port, root, folder, weights, n_processes) -> None:
    join(rank, port, n_processes)
    open_gloo_group('pytorch')
    feature_store._PART_BYTES = 700  # one image
    model, loader = Model(weights, out=['layer4', 'layer2']), loader_of(root)
    seen = counted(model)
    store_features(model, loader, CacheSettings(f'{folder}/cache'), seed=0)
    torch.save(dict(seen=seen, read=loader.dataset.store.maps(range(8))), f'{folder}/{rank}.pth')
    dist.destroy_process_group()


@pytest.mark.long
@pytest.mark.skipif(torch.cuda.is_available(), reason='tests the launch without a GPU')
@pytest.mark.parametrize('n_processes', [2, 4])
def test_processes_share_the_work(model, image_folder, weights, tmp_path, n_processes):
    arguments = free_port(), image_folder, tmp_path, weights, n_processes
    mp.start_processes(make_share, arguments, nprocs=n_processes, start_method='fork')
    shares = [torch.load(tmp_path / f'{rank}.pth', weights_only=False) for rank in range(n_processes)]
    each = 8 // n_processes
    assert [len(share['seen']) for share in shares] == [1 + each, *[each] * (n_processes - 1)]
    alone = loader_of(image_folder)
    store_features(model, alone, CacheSettings(str(tmp_path / 'alone')), seed=0)
    for found in shares:
        assert np.array_equal(found['read'], alone.dataset.store.maps(range(8)))
