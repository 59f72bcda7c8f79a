import json
import os.path as osp

import cv2
import numpy as np
import pytest

from mmseg_unsup.datasets import COCOStuff27Dataset, LabelledDataset, ProceduralScenes, UnlabelledFolder
from mmseg_unsup.datasets.coco_stuff27 import fine_to_coarse
from mmseg_unsup.datasets.procedural_scenes import write_scenes
from ..conftest import shared_file, write_images

# COCO-Stuff's own super-categories of the fine things: number of ids per coarse class
N_FINE = dict(zip(COCOStuff27Dataset.METAINFO['classes'],
                  [6, 6, 10, 10, 8, 8, 8, 10, 6, 1, 10, 8, 2, 6, 4, 11, 4, 11, 7, 2, 6, 11, 9, 2, 6, 5, 5]))


def test_coco_table():
    coarse = fine_to_coarse()
    assert len(coarse) == 182
    names = COCOStuff27Dataset.METAINFO['classes']
    assert {name: int((coarse == i).sum()) for i, name in enumerate(names)} == N_FINE
    known = {0: 'person-things', 1: 'vehicle-things', 16: 'animal-things', 77: 'appliance-things',
             95: 'building-stuff', 105: 'sky-stuff', 123: 'plant-stuff', 124: 'ground-stuff', 148: 'ground-stuff',
             168: 'plant-stuff', 154: 'water-stuff', 181: 'solid-stuff'}
    for fine, name in known.items():
        assert names[coarse[fine]] == name, fine


def test_coco_table_equals_the_published_facts():
    with open(shared_file('facts', 'cocostuff27.json')) as file:
        facts = json.load(file)
    np.testing.assert_array_equal(fine_to_coarse(), [row[2] for row in facts['fine']])
    assert COCOStuff27Dataset.METAINFO['classes'] == tuple(c['name'] for c in facts['coarse'])


def labelled(tmp_path, values, **kwargs):
    root = tmp_path / 'data'
    write_images(root / 'images', 1)
    folder = root / 'labels' / 'more'
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / f'{0:012d}.png'), values)
    pipeline = [dict(type='mmseg_unsup.LoadImage'), dict(type='mmseg_unsup.LoadLabels')]
    return LabelledDataset(data_root=str(root), data_prefix=dict(img_path='images', seg_map_path='labels'),
                           metainfo=dict(classes=['a', 'b', 'c']), pipeline=pipeline, **kwargs)


def test_labels_are_mapped(tmp_path):
    values = np.random.default_rng(0).choice([0, 1, 2, 255], (72, 96)).astype(np.uint8)
    np.testing.assert_array_equal(labelled(tmp_path, values)[0]['gt_seg_map'], values)


@pytest.mark.parametrize('values, message', [
    (np.full((72, 96), 3, np.uint8), r'holds the value\(s\) \[3\], which the data set does not define'),
    (np.zeros((70, 96), np.uint8), r'has size \(96, 70\), but its image .* has \(96, 72\)'),
    (np.zeros((72, 96, 3), np.uint8), r'has shape \(72, 96, 3\) and type uint8: expected one 8-bit channel'),
    (np.zeros((72, 96), np.uint16), 'type uint16'),
])
def test_labels_that_do_not_fit(tmp_path, values, message):
    with pytest.raises(ValueError, match=message):
        labelled(tmp_path, values)[0]


def test_missing_and_broken_label_file(tmp_path):
    dataset = labelled(tmp_path, np.zeros((72, 96), np.uint8))
    path = tmp_path / 'data' / 'labels' / 'more' / f'{0:012d}.png'
    path.write_bytes(b'no png')
    with pytest.raises(ValueError, match=f'cannot use the label map {path} .*no image that can be decoded'):
        dataset[0]
    path.unlink()
    with pytest.raises(ValueError, match=f'cannot use the label map {path} .*cannot be opened'):
        dataset[0]


def test_folders_are_checked(tmp_path):
    with pytest.raises(FileNotFoundError, match='does not exist: set data_root'):
        UnlabelledFolder(data_root=str(tmp_path / 'nowhere'))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='no image found below .*empty: expected files ending in .jpg'):
        UnlabelledFolder(data_root=str(tmp_path / 'empty'))
    (tmp_path / 'file.jpg').write_bytes(b'')
    with pytest.raises(ValueError, match='is a file'):
        UnlabelledFolder(data_root=str(tmp_path / 'file.jpg'))
    with pytest.raises(FileNotFoundError, match='does not exist: set data_root'):
        LabelledDataset(data_root=str(tmp_path / 'nowhere'), metainfo=dict(classes=['a']))
    with pytest.raises(ValueError, match=r'no \*.jpg found'):
        LabelledDataset(data_root=str(tmp_path / 'empty'), metainfo=dict(classes=['a']),
                        data_prefix=dict(img_path='', seg_map_path=''))
    with pytest.raises(FileNotFoundError, match="the list '.*ids.txt' does not exist"):
        LabelledDataset(data_root=str(tmp_path / 'empty'), ann_file='ids.txt', metainfo=dict(classes=['a']))


def test_unlabelled_folder_is_recursive_and_sorted(tmp_path):
    root = write_images(tmp_path / 'images', 3)
    write_images(tmp_path / 'images' / 'b c', 1, '.PNG')
    (tmp_path / 'images' / 'notes.txt').write_text('no image')
    paths = [info['img_path'] for info in UnlabelledFolder(data_root=root)]
    assert [osp.relpath(path, root) for path in paths] == [
        '000000000001.jpg', '000000000002.jpg', 'b c/more/000000000000.PNG', 'more/000000000000.jpg']


def test_procedural_scenes_are_the_same_everywhere(tmp_path):
    first = ProceduralScenes(data_root=str(tmp_path / 'one'),
                             data_prefix=dict(img_path='images/val', seg_map_path='labels/val'),
                             pipeline=[dict(type='mmseg_unsup.LoadImage'), dict(type='mmseg_unsup.LoadLabels')])
    write_scenes(str(tmp_path / 'two'))
    assert len(first) == 48
    for name in ('images/val/007.png', 'labels/val/007.png', 'images/train/100.png'):
        assert (tmp_path / 'one' / name).read_bytes() == (tmp_path / 'two' / name).read_bytes()
    shares = np.bincount(np.concatenate([first[i]['gt_seg_map'].ravel() for i in range(48)]), minlength=6)
    assert (shares / shares.sum() > 0.05).all()  # every class is there in earnest
    assert not [name for name in tmp_path.iterdir() if name.name.startswith('.scenes')]
