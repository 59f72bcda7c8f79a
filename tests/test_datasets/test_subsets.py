"""Subsets for few labels: nested, of the right size, a function of the seed, and read by the data sets."""
import os.path as osp

import cv2
import numpy as np
import pytest

from mmseg_unsup.analysis.subsets import list_names, nested_subsets, write_subsets
from mmseg_unsup.registry import DATASETS
from ..conftest import ROOT, run_tool, write_camvid, write_images

NAMES = [f'image_{i:03d}' for i in range(367)]


def test_subsets_are_nested_and_seeded():
    percents = (1, 2, 5, 12.5, 25, 100)
    subsets = nested_subsets(NAMES, percents, seed=1)
    assert [len(subsets[percent]) for percent in percents] == [4, 7, 18, 46, 92, 367]
    for smaller, larger in zip(percents, percents[1:]):
        assert set(subsets[smaller]) < set(subsets[larger])
    assert subsets[100] == NAMES and subsets[25] == sorted(subsets[25])
    assert nested_subsets(NAMES, (5, ), seed=1)[5] == subsets[5]  # whatever else is asked for
    others = [nested_subsets(NAMES, (5, ), seed)[5] for seed in range(2, 7)]
    assert len({tuple(names) for names in [subsets[5], *others]}) == 6
    counts = np.zeros(20)
    for seed in range(2000):  # every image as often as any other: 400 +- 18
        counts[[int(name) for name in nested_subsets([str(i) for i in range(20)], (20, ), seed)[20]]] += 1
    assert counts.sum() == 8000 and abs(counts - 400).max() < 5 * 18
    assert nested_subsets(['a', 'b'], (0.1, ), 0)[0.1] in (['a'], ['b'])


@pytest.mark.parametrize('names, percents, message', [
    (NAMES, (0, ), 'a subset of 0 % was asked for'), (NAMES, (101, ), '101 %'), (['a', 'a'], (5, ), '1 of 2 names')])
def test_impossible_subsets(names, percents, message):
    with pytest.raises(ValueError, match=message):
        nested_subsets(names, percents, 0)


def dataset(root, **kwargs) -> dict:
    return dict(type='mmseg_unsup.CamVidDataset', data_root=str(root),
                data_prefix=dict(img_path='images/train', seg_map_path='labels/train'), pipeline=[], **kwargs)


def test_data_sets_read_the_lists(tmp_path):
    write_camvid(tmp_path)
    cfg = dataset(tmp_path)
    names = list_names(cfg)
    assert len(names) == 4 and 'more/000000000000' in names
    for percent, path in write_subsets(cfg, str(tmp_path / 'subsets'), (25, 50, 100), seed=3).items():
        expected = nested_subsets(names, (percent, ), 3)[percent]
        loaded = DATASETS.build(dict(cfg, ann_file=path))
        infos = [loaded.get_data_info(i) for i in range(len(loaded))]
        assert sorted(info['img_path'] for info in infos) == [
            str(tmp_path / 'images' / 'train' / f'{name}.jpg') for name in expected]
        assert all(osp.isfile(info['seg_map_path']) for info in infos)
        assert write_subsets(cfg, str(tmp_path / 'subsets'), (percent, ), seed=3)[percent] == path
    cv2.imwrite(str(tmp_path / 'images' / 'train' / 'a.jpg'), np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(ValueError, match='percent_50.txt holds another subset than seed 3 gives'):
        write_subsets(cfg, str(tmp_path / 'subsets'), (50, ), seed=3)


def test_data_sets_with_splits_take_the_names_with_the_split(tmp_path):
    for split in ('train', 'val'):
        folder = tmp_path / 'leftImg8bit' / split / 'city'
        folder.mkdir(parents=True)
        for i in range(4):
            cv2.imwrite(str(folder / f'{i}_leftImg8bit.png'), np.zeros((16, 16, 3), np.uint8))
    cfg = dict(type='mmseg_unsup.Cityscapes27Dataset', data_root=str(tmp_path), pipeline=[],
               data_prefix=dict(img_path='leftImg8bit'), splits=['train', 'val'])
    path = write_subsets(cfg, str(tmp_path / 'subsets'), (50, ), seed=0)[50]
    names = open(path).read().split()
    assert len(names) == 4 and all(name.split('/')[0] in ('train', 'val') for name in names)
    assert len(DATASETS.build(dict(cfg, splits=None, ann_file=path))) == 4


def test_a_data_set_without_lists_is_refused(tmp_path):
    write_images(tmp_path, 2)
    with pytest.raises(ValueError, match='UnlabelledFolder does not read its images from a folder by a list'):
        list_names(dict(type='mmseg_unsup.UnlabelledFolder', data_root=str(tmp_path)))


def test_the_tool(tmp_path):
    write_camvid(tmp_path / 'data')
    config = f'{ROOT}/configs/finetune/fcn_r18_camvid.py'
    done = run_tool('dataset_converters/label_subsets.py', config, tmp_path / 'out', '--seed', 2, '--percents', 50, 100,
                    '--cfg-options', f'data_root={tmp_path}/data', fresh=True)
    assert '50 %: 2 images, ' in done.stdout and '100 %: 4 images, ' in done.stdout
    assert len((tmp_path / 'out' / 'seed_2' / 'percent_50.txt').read_text().split()) == 2
