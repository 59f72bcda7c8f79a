"""Cityscapes-27, Potsdam-3 and Pascal VOC 2012 on tiny trees in the layouts that users have."""
import os.path as osp
import re

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmseg_unsup.datasets import Cityscapes27Dataset, Potsdam3Dataset, VOC2012Dataset
from mmseg_unsup.registry import DATASETS
from ..conftest import ROOT, smooth_image
from ..test_tools.test_train_and_test import SMALL, config

LOAD = [dict(type='mmseg_unsup.LoadImage'), dict(type='mmseg_unsup.LoadLabels')]

# the label table of cityscapesscripts: id, name, colour, hasInstances; ids that are not here are void
CITYSCAPES = '''
7 road 128 64 128 no, 8 sidewalk 244 35 232 no, 9 parking 250 170 160 no, 10 rail-track 230 150 140 no,
11 building 70 70 70 no, 12 wall 102 102 156 no, 13 fence 190 153 153 no, 14 guard-rail 180 165 180 no,
15 bridge 150 100 100 no, 16 tunnel 150 120 90 no, 17 pole 153 153 153 no, 18 polegroup 153 153 153 no,
19 traffic-light 250 170 30 no, 20 traffic-sign 220 220 0 no, 21 vegetation 107 142 35 no, 22 terrain 152 251 152 no,
23 sky 70 130 180 no, 24 person 220 20 60 yes, 25 rider 255 0 0 yes, 26 car 0 0 142 yes, 27 truck 0 0 70 yes,
28 bus 0 60 100 yes, 29 caravan 0 0 90 yes, 30 trailer 0 0 110 yes, 31 train 0 80 100 yes,
32 motorcycle 0 0 230 yes, 33 bicycle 119 11 32 yes'''
CITYSCAPES = [entry.split() for entry in CITYSCAPES.split(',')]


def write(path, pixels) -> None:
    """An image or label file; labels given as a PIL image keep their palette."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(pixels, Image.Image):
        pixels.save(path)
    else:
        assert cv2.imwrite(str(path), pixels)


def strip(values, shape=(64, 128)) -> np.ndarray:
    """A label map that holds the values in turn."""
    return np.resize(np.array(values, np.uint8), shape)


@pytest.fixture
def cityscapes_root(tmp_path):
    """Two cities of two images in each of the four image sets; labels for train and val, as published."""
    rng = np.random.default_rng(0)
    root = tmp_path / 'cityscapes'
    for split in ('train', 'val', 'test', 'train_extra'):
        for city in ('aachen', 'bonn'):
            for i in range(2):
                name = f'{city}_{i:06d}_000019'
                write(root / 'leftImg8bit' / split / city / f'{name}_leftImg8bit.png', smooth_image(rng, 64, 128))
                if split in ('train', 'val'):
                    folder = root / 'gtFine' / split / city
                    write(folder / f'{name}_gtFine_labelIds.png', strip([*range(34), 255]))
                    write(folder / f'{name}_gtFine_instanceIds.png', strip([0]))
                    write(folder / f'{name}_gtFine_color.png', smooth_image(rng, 64, 128))
    return root


def cityscapes(root, splits, labels=True, **kwargs):
    data_prefix = dict(img_path='leftImg8bit', **(dict(seg_map_path='gtFine') if labels else {}))
    return Cityscapes27Dataset(data_root=str(root), data_prefix=data_prefix, splits=splits, pipeline=LOAD, **kwargs)


def test_cityscapes_classes_are_those_of_the_official_table(cityscapes_root):
    dataset = cityscapes(cityscapes_root, 'val')
    table, meta = dataset.label_table(), dataset.metainfo
    for label_id, name, *color, is_thing in CITYSCAPES:
        index = table[int(label_id)]
        assert meta['classes'][index] == name.replace('-', ' ')
        assert meta['palette'][index] == [int(value) for value in color]
        assert (index in meta['groups']['things']) == (is_thing == 'yes') != (index in meta['groups']['stuff'])
    assert len(meta['classes']) == len(meta['palette']) == len(CITYSCAPES) == 27
    assert [value for value in range(256) if table[value] == 255] == [0, 1, 2, 3, 4, 5, 6, 255]


def test_cityscapes_labels_are_mapped(cityscapes_root):
    sample = cityscapes(cityscapes_root, ['val'])[0]
    expected = {**dict.fromkeys((0, 1, 2, 3, 4, 5, 6, 255), 255), **{value: value - 7 for value in range(7, 34)}}
    raw = strip([*range(34), 255])
    np.testing.assert_array_equal(sample['gt_seg_map'], np.vectorize(expected.get)(raw))
    path = cityscapes_root / 'gtFine/val/aachen/aachen_000000_000019_gtFine_labelIds.png'
    write(path, strip([7, 34]))
    with pytest.raises(ValueError, match=rf'{path} holds the value\(s\) \[34\], which the data set does not define'):
        cityscapes(cityscapes_root, ['val'])[0]


def test_cityscapes_image_sets(cityscapes_root):
    for splits in (['val'], ['test', 'train_extra'], ['val', 'train']):
        dataset = cityscapes(cityscapes_root, splits, labels='test' not in splits)
        paths = [osp.relpath(info['img_path'], cityscapes_root / 'leftImg8bit') for info in map(dataset.get_data_info,
                                                                                               range(len(dataset)))]
        assert paths == [f'{split}/{city}/{city}_{i:06d}_000019_leftImg8bit.png'
                         for split in splits for city in ('aachen', 'bonn') for i in range(2)]
    info = dataset.get_data_info(7)
    assert info['seg_map_path'] == str(cityscapes_root / 'gtFine/train/bonn/bonn_000001_000019_gtFine_labelIds.png')
    # the form of mmseg's configs, one set as the path itself
    dataset = Cityscapes27Dataset(data_root=str(cityscapes_root), pipeline=LOAD,
                                  data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val'))
    assert len(dataset) == 4 and dataset[3]['gt_seg_map'].max() == 255


def test_missing_image_sets(cityscapes_root, tmp_path):
    with pytest.raises(FileNotFoundError, match="leftImg8bit/vall' does not exist: set data_root .* or splits"):
        cityscapes(cityscapes_root, 'vall')
    with pytest.raises(FileNotFoundError, match="gtFine/test' does not exist: evaluation needs labels"):
        cityscapes(cityscapes_root, ['test'])
    with pytest.raises(FileNotFoundError, match='nowhere/leftImg8bit/val.* does not exist: set data_root'):
        cityscapes(tmp_path / 'nowhere', ['val'])
    (cityscapes_root / 'leftImg8bit' / 'empty').mkdir()
    with pytest.raises(ValueError, match=r'no \*_leftImg8bit.png found: looked in .*leftImg8bit/empty'):
        cityscapes(cityscapes_root, ['val', 'empty'], labels=False)
    with pytest.raises(ValueError, match=r"splits=\[\] with ann_file='': name at least one folder in splits"):
        cityscapes(cityscapes_root, [])
    with pytest.raises(ValueError, match='leave ann_file empty, or leave out splits'):
        cityscapes(cityscapes_root, ['val'], ann_file='list.txt')


@pytest.mark.parametrize('name, trained, scored', [
    ('cityscapes27', ['train'], ['val']),
    ('cityscapes27_released', ['test', 'train_extra'], ['val', 'train']),
])
def test_cityscapes_protocols(name, trained, scored, cityscapes_root):
    loaders = base_loaders(name, cityscapes_root)
    for loader, splits in zip(('train', 'probe', 'val', 'test'), (trained, trained, scored, scored)):
        paths = [loaders[loader].get_data_info(i)['img_path'] for i in range(len(loaders[loader]))]
        assert len(paths) == 4 * len(splits)
        assert {osp.relpath(path, cityscapes_root).split('/')[1] for path in paths} == set(splits)
        assert ('seg_map_path' in loaders[loader].get_data_info(0)) == (loader in ('val', 'test'))
    # the centre square, at 320 px
    sample = loaders['val'][0]
    assert sample['inputs'].shape == (3, 320, 320)
    assert sample['data_samples'].gt_sem_seg.data.shape == (1, 320, 320)


def base_loaders(name, root) -> dict:
    """The data sets of a config of ``_base_/datasets``, of the training loaders the inner one."""
    cfg = Config.fromfile(osp.join(ROOT, 'configs', '_base_', 'datasets', f'{name}.py'))
    datasets = dict(train=cfg.train_dataloader.dataset.dataset, probe=cfg.probe_dataloader.dataset.dataset,
                    val=cfg.val_dataloader.dataset, test=cfg.test_dataloader.dataset)
    return {key: DATASETS.build(dict(dataset, data_root=str(root))) for key, dataset in datasets.items()}


def test_potsdam(tmp_path):
    rng = np.random.default_rng(0)
    values = strip(range(7), (512, 512))
    for split in ('train', 'val'):
        write(tmp_path / 'img_dir' / split / '2_10_0_0_512_512.png', smooth_image(rng, 512, 512))
        write(tmp_path / 'ann_dir' / split / '2_10_0_0_512_512.png', values)
    dataset = Potsdam3Dataset(data_root=str(tmp_path), pipeline=LOAD,
                              data_prefix=dict(img_path='img_dir', seg_map_path='ann_dir'), splits=['train', 'val'])
    assert len(dataset) == 2
    # by name, from mmseg's palette of the converter: IIC's pairs
    fine = ('boundary', 'impervious_surface', 'building', 'low_vegetation', 'tree', 'car', 'clutter')
    coarse = dict(impervious_surface='roads and cars', car='roads and cars', building='buildings and clutter',
                  clutter='buildings and clutter', low_vegetation='vegetation and trees', tree='vegetation and trees')
    classes = dataset.metainfo['classes']
    expected = np.array([255 if name == 'boundary' else classes.index(coarse[name]) for name in fine])
    np.testing.assert_array_equal(dataset[1]['gt_seg_map'], expected[values])
    loaders = base_loaders('potsdam3', tmp_path)
    assert 'img_dir/train' in loaders['train'].get_data_info(0)['img_path']
    assert loaders['test'][0]['data_samples'].gt_sem_seg.data.shape == (1, 320, 320)


def voc_palette() -> list:
    """The colour map of the VOC development kit: bits of the index, spread over the channels from the top."""
    return [sum((index >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(3))
            for index in range(256) for channel in range(3)]


def palette_image(values: np.ndarray) -> Image.Image:
    image = Image.fromarray(values)
    image.putpalette(voc_palette())
    assert image.mode == 'P'
    return image


@pytest.fixture
def voc_root(tmp_path):
    rng = np.random.default_rng(0)
    root = tmp_path / 'VOC2012'
    lists = dict(train=['2007_000032'], val=['2007_000033', '2007_000042'], trainaug=['2007_000032', '2008_000002'])
    for name in {name for names in lists.values() for name in names} | {'2012_004331'}:
        write(root / 'JPEGImages' / f'{name}.jpg', smooth_image(rng, 64, 128))
    values = strip([*range(21), 255])
    for name in lists['train'] + lists['val']:
        write(root / 'SegmentationClass' / f'{name}.png', palette_image(values))
    for name in lists['trainaug']:
        write(root / 'SegmentationClassAug' / f'{name}.png', values)
    folder = root / 'ImageSets' / 'Segmentation'
    folder.mkdir(parents=True)
    for split, names in lists.items():
        (folder / f'{split}.txt').write_text(''.join(f'{name}\n' for name in names))
    return root


def voc(root, ann_file, labels='SegmentationClass', **kwargs):
    return VOC2012Dataset(data_root=str(root), ann_file=f'ImageSets/Segmentation/{ann_file}', pipeline=LOAD,
                          data_prefix=dict(img_path='JPEGImages', seg_map_path=labels), **kwargs)


def test_voc_labels(voc_root):
    assert VOC2012Dataset.METAINFO['palette'] == np.reshape(voc_palette(), (256, 3))[:21].tolist()
    values = strip([*range(21), 255])
    for dataset in (voc(voc_root, 'val.txt'), voc(voc_root, 'trainaug.txt', 'SegmentationClassAug')):
        assert len(dataset) == 2
        np.testing.assert_array_equal(dataset[1]['gt_seg_map'], values)
    loaders = base_loaders('voc2012', voc_root)
    names = [osp.basename(loaders['train'].get_data_info(i)['img_path']) for i in range(len(loaders['train']))]
    assert names == ['2007_000032.jpg', '2008_000002.jpg']
    assert 'seg_map_path' not in loaders['train'].get_data_info(0)
    labels = loaders['val'][0]['data_samples'].gt_sem_seg.data
    assert labels.shape == (1, 320, 320) and set(labels.unique().tolist()) <= {*range(21), 255}


def test_dropped_classes_are_ignored_and_leave_their_group(voc_root):
    whole, part = (voc(voc_root, 'val.txt', drop_classes=names) for names in ((), ['bicycle', 'tvmonitor']))
    expected = np.where(np.isin(whole[1]['gt_seg_map'], [2, 20]), 255, whole[1]['gt_seg_map'])
    assert {2, 20} <= {*whole[1]['gt_seg_map'].ravel().tolist()}
    np.testing.assert_array_equal(part[1]['gt_seg_map'], expected)
    assert whole.metainfo['groups'] == dict(objects=list(range(1, 21)))
    assert part.metainfo['groups'] == dict(objects=[1, *range(3, 20)])
    with pytest.raises(ValueError, match="drop_classes names 'cow-boy', which is none of the classes"):
        voc(voc_root, 'val.txt', drop_classes=['cow-boy'])


@pytest.mark.parametrize('bits', [1, 2, 4, 8])
def test_palette_of_any_depth(voc_root, bits):
    values = strip(range(min(2**bits, 21)))
    palette_image(values).save(voc_root / 'SegmentationClass' / '2007_000032.png', bits=bits)
    np.testing.assert_array_equal(voc(voc_root, 'train.txt')[0]['gt_seg_map'], values)


def test_broken_palette_labels(voc_root):
    path = voc_root / 'SegmentationClass' / '2007_000032.png'
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    with pytest.raises(ValueError, match=f'cannot use the label map {path} .*it is cut off'):
        voc(voc_root, 'train.txt')[0]
    start = content.index(b'IDAT') + 4
    path.write_bytes(content[:start] + bytes(20) + content[start + 20:])
    with pytest.raises(ValueError, match=f'cannot use the label map {path} .*it cannot be decoded'):
        voc(voc_root, 'train.txt')[0]
    palette_image(strip([21])).save(path)
    with pytest.raises(ValueError, match=rf'{path} holds the value\(s\) \[21\]'):
        voc(voc_root, 'train.txt')[0]


@pytest.mark.parametrize('line', [
    '../JPEGImages/2007_000032', 'a/../../2007_000032', '..', '..\\2007_000032', '/data/2007_000032', '',
    '/JPEGImages/2007_000032.jpg /SegmentationClassAug/2007_000032.png'
])
def test_lists_stay_below_the_image_folder(voc_root, line):
    path = voc_root / 'ImageSets' / 'Segmentation' / 'own.txt'
    path.write_text(f'2007_000032\n{line}\n2007_000033\n')
    with pytest.raises(ValueError, match=re.escape(f"line 2 of the list '{path}' is {line!r}")):
        voc(voc_root, 'own.txt')
    path.write_text('2007_000032\n..2007_000033\n')  # two dots in a name harm nobody
    assert len(voc(voc_root, 'own.txt')) == 2
    with pytest.raises(FileNotFoundError, match="the list '.*/none.txt' does not exist: set ann_file"):
        voc(voc_root, 'none.txt')


def test_cityscapes_trains_and_scores(cityscapes_root, tmp_path, tool):
    options = [f'data_root={cityscapes_root}', *SMALL, 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1']
    tool('train', config('picie_fpn_cityscapes_released'), '--work-dir', tmp_path / 'run', '--cfg-options', *options)
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    assert re.search(r'Epoch\(val\) \[1\].*aAcc: [\d.]+  mIoU: [\d.]+.*things_mIoU: \S+  .*stuff_mIoU: \S+', log)
    assert 'guard rail' in log
