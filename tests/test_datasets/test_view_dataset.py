import os

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, pseudo_collate
from torch.utils.data import DataLoader

from mmseg_unsup.datasets import ViewDataset
from mmseg_unsup.registry import DATASETS
from ..forks import start_server

PIPELINE = [
    dict(type='mmseg_unsup.LoadImage'),
    dict(type='mmseg_unsup.CenterSquareCrop'),
    dict(type='mmseg_unsup.MakeViews', num_views=2),
    dict(type='mmseg_unsup.PairedCropFlip', size=32),
    dict(type='mmseg_unsup.ForEachView', transforms=[
        dict(type='mmseg_unsup.ColorJitter'),
        dict(type='mmseg_unsup.RandomGrayscale'),
        dict(type='mmseg_unsup.GaussianBlur'),
        dict(type='PhotoMetricDistortion'),  # a stock transform that draws from the global generators
    ]),
    dict(type='mmseg_unsup.PackViews')
]


def build(root, **kwargs):
    return DATASETS.build(dict(type='mmseg_unsup.ViewDataset', pipeline=PIPELINE,
                               dataset=dict(type='mmseg_unsup.UnlabelledFolder', data_root=root), **kwargs))


def collect(dataset, seed=1, epoch=2, **loader_kwargs):
    dataset.set_key(seed, epoch)
    loader = DataLoader(dataset, collate_fn=pseudo_collate, **loader_kwargs)
    samples = {}
    for batch in loader:
        for i, data_sample in enumerate(batch['data_samples']):
            samples[data_sample.sample_idx] = ([view[i] for view in batch['inputs']], data_sample.metainfo)
    return samples


def assert_same(first, second):
    assert first.keys() == second.keys()
    for idx, (views, meta) in first.items():
        assert all(torch.equal(a, b) for a, b in zip(views, second[idx][0]))
        assert meta == second[idx][1]


@pytest.mark.parametrize('kwargs', [
    dict(batch_size=3, num_workers=1),
    dict(batch_size=5, num_workers=2),
    dict(batch_size=2, num_workers=2, multiprocessing_context='forkserver'),  # pickled as for processes that are new
    dict(batch_size=4, shuffle=True),
])
def test_views_depend_on_seed_epoch_and_index_only(image_folder, kwargs):
    start_server()  # with all imports
    dataset = build(image_folder)
    reference = collect(dataset, batch_size=1)
    assert len(reference) == 8
    np.random.seed(99)
    torch.manual_seed(99)
    assert_same(collect(dataset, **kwargs), reference)


def test_another_epoch_or_seed_gives_other_views(image_folder):
    dataset = build(image_folder)
    reference = collect(dataset, seed=1, epoch=2, batch_size=8)
    for seed, epoch in ((1, 3), (2, 2), (2, 1)):
        other = collect(dataset, seed=seed, epoch=epoch, batch_size=8)
        assert not any(torch.equal(other[i][0][0], reference[i][0][0]) for i in reference)
    assert_same(collect(dataset, seed=1, epoch=2, batch_size=8), reference)


def test_persistent_workers_see_the_epoch(image_folder):
    dataset = build(image_folder)
    loader = DataLoader(dataset, batch_size=4, num_workers=2, persistent_workers=True, collate_fn=pseudo_collate)
    boxes = []
    for epoch in (0, 1, 0):
        dataset.set_key(0, epoch)
        boxes.append([sample.crop_box for batch in loader for sample in batch['data_samples']])
    assert boxes[0] == boxes[2] != boxes[1]


def test_global_generators_are_left_alone(image_folder):
    dataset = build(image_folder)
    np.random.seed(0)
    torch.manual_seed(0)
    expected = np.random.rand(), torch.rand(1)
    np.random.seed(0)
    torch.manual_seed(0)
    dataset[0]
    assert (np.random.rand(), torch.rand(1)) == expected


def test_the_second_view_is_not_cropped(image_folder):
    """Both views start from the same square; only the first is cut by the recorded box."""
    dataset = build(image_folder)
    dataset.pipeline.transforms = [t for t in dataset.pipeline.transforms if type(t).__name__ != 'ForEachView']
    views, meta = collect(dataset, batch_size=1)[3]
    dataset.set_key(0, 0)
    x1, y1, x2, y2 = meta['crop_box']
    assert 0 <= x1 < x2 <= 1 and x2 - x1 == pytest.approx(y2 - y1)
    assert not torch.equal(views[0], views[1])
    later = collect(dataset, epoch=3, batch_size=1)[3]
    assert torch.equal(views[1], later[0][1]) and not torch.equal(views[0], later[0][0])


def test_labels_cannot_be_read(tmp_path, image_folder):
    dataset = ViewDataset(
        dict(type='mmseg_unsup.LabelledDataset', data_root=image_folder, metainfo=dict(classes=['a', 'b']),
             data_prefix=dict(img_path='', seg_map_path='')),
        [dict(type='mmseg_unsup.LoadImage'), dict(type='mmseg_unsup.LoadLabels')])
    with pytest.raises(KeyError, match='no label map is known'):
        dataset[0]


def damage(root):
    names = sorted(os.listdir(root))
    path = os.path.join(root, names[2])
    open(path, 'wb').close()
    return path


def test_an_unreadable_image_stops_the_run(image_folder):
    path = damage(image_folder)
    dataset = build(image_folder)
    with pytest.raises(ValueError, match=f'cannot use the image {path}: it is empty'):
        collect(dataset, batch_size=4)
    with pytest.raises(ValueError, match='it is empty'):  # the message survives the way from a worker
        collect(dataset, batch_size=4, num_workers=1)


@pytest.mark.parametrize('num_workers', [0, 2])
def test_skipping_counts_and_marks(image_folder, num_workers):
    path = damage(image_folder)
    dataset = build(image_folder, on_error='skip')
    dataset.set_key(1, 2)
    loader = DataLoader(dataset, batch_size=4, num_workers=num_workers, collate_fn=pseudo_collate)
    samples = [sample for batch in loader for sample in batch['data_samples']]
    assert dataset.unreadable() == [path]
    assert sum(sample.replaced for sample in samples) == 1
    assert len(samples) == 8 and path not in [sample.img_path for sample in samples]


def test_nothing_readable(image_folder):
    for folder, _, names in os.walk(image_folder):
        for name in names:
            open(os.path.join(folder, name), 'wb').close()
    with pytest.raises(ValueError, match='none of the 8 images can be read, for example: .*0001.jpg: it is empty'):
        build(image_folder, on_error='skip')[0]


def test_unknown_policy(image_folder):
    with pytest.raises(ValueError, match="on_error='ignore'"):
        build(image_folder, on_error='ignore')


def test_sampler_of_mmengine(image_folder):
    """The order of DefaultSampler over ranks is what positions in clustering rely on."""
    dataset = build(image_folder)
    whole = list(DefaultSampler(dataset, shuffle=True, seed=3))
    parts = []
    for rank in range(3):
        sampler = DefaultSampler(dataset, shuffle=True, seed=3)
        sampler.rank, sampler.world_size, sampler.num_samples, sampler.total_size = rank, 3, 3, 9
        parts.append(list(sampler))
    assert [parts[p % 3][p // 3] for p in range(9)][:8] == whole
