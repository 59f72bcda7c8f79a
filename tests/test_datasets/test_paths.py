"""No path of a config or a list leaves the folder that it belongs to, unless the config says so."""
import os

import cv2
import numpy as np
import pytest

from mmseg_unsup.datasets import LabelledDataset, MaskedImageDataset, UnlabelledFolder
from mmseg_unsup.analysis.subsets import list_names
from mmseg_unsup.evaluation.metrics import ClusterMaps
from mmseg_unsup.priors.folder import find_mask
from mmseg_unsup.utils.paths import is_outside
from ..conftest import ROOT, run_tool


@pytest.mark.parametrize('path, expected', [
    ('', False), ('a/b', False), ('a..b', False), ('..a', False), ('/data/a', False), ('/data', False),
    ('..', True), ('../data/a', True), ('a/../b', True), ('a/..', True), ('a\\..\\b', True), ('/', True),
    ('/database', True), ('/data/../a', True),
])
def test_outside(path, expected):
    assert is_outside(path, '/data') == expected


@pytest.fixture
def root(tmp_path):
    """An image in the data root and one beside it, with labels and masks; the working folder is the parent of both."""
    for folder in ('data/images', 'data/labels', 'other/images', 'other/labels'):
        (tmp_path / folder).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / folder / f'x.{"jpg" if "images" in folder else "png"}'), np.ones((20, 20), np.uint8))
    return tmp_path / 'data'


def labelled(root, **kwargs):
    return LabelledDataset(**{**dict(data_root=str(root), metainfo=dict(classes=['a', 'b']),
                                     data_prefix=dict(img_path='images', seg_map_path='labels')), **kwargs})


def masked(root, **kwargs):
    return MaskedImageDataset(**{**dict(data_root=str(root), mask_root=str(root / 'labels'),
                                        data_prefix=dict(img_path='images')), **kwargs})


def unlabelled(root, **kwargs):
    return UnlabelledFolder(**{**dict(data_root=str(root)), **kwargs})


def only_image(dataset) -> str:
    assert len(dataset) == 1
    return os.path.realpath(dataset.get_data_info(0)['img_path'])


@pytest.mark.parametrize('make', [labelled, masked, unlabelled])
def test_prefixes(root, make):
    other = str(root.parent / 'other' / 'images')
    for path in ('../other/images', 'images/../../other/images', other):
        prefix = dict(img_path=path, **(dict(seg_map_path='labels') if make is labelled else {}))
        with pytest.raises(ValueError, match=f"data_prefix.img_path='{path}' leads out of '{root}': .*allow_outside"):
            make(root, data_prefix=prefix)
        assert only_image(make(root, data_prefix=prefix, allow_outside=True)) == f'{other}/x.jpg'
    inside = dict(img_path=f'{root}/images')  # a full path is no way out in itself
    assert only_image(make(root, data_prefix=inside)) == f'{root}/images/x.jpg'


@pytest.mark.parametrize('make, options, setting', [
    (labelled, dict(data_prefix=dict(img_path='images', seg_map_path='../other/labels')), 'data_prefix.seg_map_path'),
    (labelled, dict(splits=['../../other/images']), 'splits'),
    (labelled, dict(splits=['/images']), 'splits'),
    (labelled, dict(seg_map_suffix='/../../x.png'), 'seg_map_suffix'),
    (labelled, dict(img_suffix='/../x.jpg'), 'img_suffix'),
    (masked, dict(mask_suffix='/../../x.png'), 'mask_suffix'),
])
def test_other_settings(root, make, options, setting):
    with pytest.raises(ValueError, match=f'{setting}=.* leads out of .*: give a path below it'):
        make(root, **options)


def test_lists(root):
    """A list of other places needs leave; where masks go by the names of a list, there is none."""
    path = root / 'list.txt'
    for line in ('../../other/images/x', str(root.parent / 'other' / 'images' / 'x')):
        path.write_text(f'{line}\n')
        for make in (labelled, masked):
            with pytest.raises(ValueError, match='line 1 of the list .*allow_outside=True'):
                make(root, ann_file='list.txt')
        dataset = labelled(root, ann_file='list.txt', allow_outside=True)
        assert only_image(dataset) == str(root.parent / 'other' / 'images' / 'x.jpg')
        with pytest.raises(ValueError, match='line 1 of the list'):
            masked(root, ann_file='list.txt', allow_outside=True)
        with pytest.raises(ValueError, match='x.jpg does not lie below .*images, so a list cannot name it'):
            list_names(dict(type='mmseg_unsup.LabelledDataset', data_root=str(root), metainfo=dict(classes=['a']),
                            data_prefix=dict(img_path='images'), ann_file='list.txt', allow_outside=True))
    path.write_text('\n')
    with pytest.raises(ValueError, match='line 1 of the list'):
        labelled(root, ann_file='list.txt', allow_outside=True)


def test_a_list_elsewhere_is_announced(root, monkeypatch):
    """What it names still lies below the image folder."""
    path = root.parent / 'list.txt'
    path.write_text('x\n')
    (root / 'list.txt').write_text('x\n')
    said = []
    monkeypatch.setattr('mmseg_unsup.datasets.folder_dataset.print_log', lambda message, **_: said.append(message))
    labelled(root, ann_file='list.txt')
    labelled(root, ann_file=f'{root}/list.txt')
    assert said == []
    for ann_file in (str(path), '../list.txt'):
        assert only_image(labelled(root, ann_file=ann_file)) == f'{root}/images/x.jpg'
        assert f'list.txt lies outside of the data root {root}' in said.pop()


def test_links_are_followed(root):
    """A list cannot make links; who arranged the folder did."""
    (root / 'images' / 'linked').symlink_to(root.parent / 'other' / 'images', target_is_directory=True)
    for make in (labelled, unlabelled):
        prefix = dict(data_prefix=dict(img_path='images')) if make is labelled else {}
        dataset = make(root, **prefix)
        paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
        assert [path for path in paths if path.endswith('.jpg')] == [f'{root}/images/linked/x.jpg',
                                                                     f'{root}/images/x.jpg']


def test_a_link_to_nothing_is_no_image_less(root):
    """It is listed, and found when it is read; left out, nobody would know."""
    (root / 'images' / 'lost.jpg').symlink_to(root / 'nowhere.jpg')
    (root / 'images' / '.hidden.jpg').write_bytes(b'')
    dataset = labelled(root)
    assert [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))] == [
        f'{root}/images/lost.jpg', f'{root}/images/x.jpg']


def test_masks_of_a_prior(root):
    assert find_mask(str(root / 'labels'), 'x') == f'{root}/labels/x.png'
    for stem in ('../../other/labels/x', str(root.parent / 'other' / 'labels' / 'x')):
        with pytest.raises(ValueError, match='has its mask outside of'):
            find_mask(str(root / 'labels'), stem)


def test_maps_are_written_below_their_folder(root):
    maps = ClusterMaps(output_dir=str(root / 'maps'), root=str(root / 'images'))
    assert maps._path(f'{root}/images/x.jpg') == f'{root}/maps/x.jpg.png'
    with pytest.raises(ValueError, match='other/images/x.jpg does not lie below root=.*: set root of ClusterMaps'):
        maps._path(f'{root.parent}/other/images/x.jpg')


def test_the_tool_that_checks_data_obeys_too(root):
    done = run_tool('check_data.py', f'{ROOT}/configs/picie/picie_fpn_folder.py', '--cfg-options',
                    f'data_root={root}', 'train_dataloader.dataset.dataset.data_prefix.img_path=../other', check=False)
    assert done.returncode == 2 and "data_prefix.img_path='../other' leads out of" in done.stdout.splitlines()[-1]
