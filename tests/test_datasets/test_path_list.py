"""Lists of files that stay small."""
import copy
import os
import os.path as osp
import pickle

import pytest

from mmseg_unsup.datasets import UnlabelledFolder, image_files
from mmseg_unsup.datasets.image_files import find_images, sharing_listings
from mmseg_unsup.datasets.path_list import PathList
from .test_image_files import fill

NAMES = ['b/c.jpg', 'b-/d.jpg', 'b.jpg', 'b/c/e.jpg', 'b/c-.jpg', 'a.jpg', 'é/ß.jpg', 'b0.jpg', 'B.jpg', 'b/a\nb.jpg']


def test_it_is_a_sequence_of_paths():
    paths, plain = PathList('/root', NAMES), [f'/root/{name}' for name in NAMES]
    assert [*paths] == plain and len(paths) == len(plain)
    assert [paths[i] for i in range(-len(plain), len(plain))] == plain + plain
    for part in (slice(2, 5), slice(None, None, -3), slice(7, 2), slice(-4, None), slice(1, None, 4)):
        assert [*paths[part]] == plain[part] and [*pickle.loads(pickle.dumps(paths))[part]] == plain[part]
    assert [*paths.below('other/')] == [f'other/{name}' for name in NAMES] and paths[0] == plain[0]
    with pytest.raises(IndexError):
        paths[len(plain)]


@pytest.mark.parametrize('root', ['/root', '/root/', '/', '/other'])
def test_lines_are_relative_paths(root):
    paths = PathList('/root', NAMES)
    for part in (paths, paths[1::3]):
        for start, end in ((0, len(part)), (1, 3), (2, 99), (5, 5)):
            expected = ''.join(f'{osp.relpath(path, root)}\n' for path in [*part][start:end])
            assert part.lines(start, end, root) == expected.encode()


def test_a_path_takes_its_name_and_two_numbers():
    names = [f'folder_{i // 1000:04d}/image_{i:08d}.jpg' for i in range(5000)]
    size = len(pickle.dumps(PathList(f'/a/very/long/root/{"x" * 200}', names)))
    assert size <= 5000 * (len(names[0]) + 1 + 2 * 8) + 1000


def test_the_order_is_that_of_sorted_paths(tmp_path):
    fill(tmp_path, *NAMES, os.fsdecode(b'b/\xff.jpg'), '.hidden.png', '.jpg')
    expected = sorted(osp.join(folder, name) for folder, _, names in os.walk(tmp_path) for name in names
                      if name != '.jpg')
    assert [*find_images(str(tmp_path))] == expected and len(expected) == len(NAMES) + 2


def test_a_folder_is_listed_once_in_a_block(tmp_path, monkeypatch):
    fill(tmp_path, 'images/a.jpg', 'images/b/c.jpg')
    (tmp_path / 'link').symlink_to(tmp_path / 'images')
    folders, scandir = [], os.scandir
    monkeypatch.setattr(image_files.os, 'scandir', lambda folder: folders.append(folder) or scandir(folder))
    root = str(tmp_path / 'images')
    with sharing_listings():
        first = find_images(root)
        fill(tmp_path, 'images/new.jpg')
        with sharing_listings():
            other = find_images(f'{tmp_path}/link/')
        assert [*find_images(root)] == [*first] == [f'{root}/a.jpg', f'{root}/b/c.jpg']
    assert [*other] == [f'{tmp_path}/link/a.jpg', f'{tmp_path}/link/b/c.jpg']
    assert folders == [root, f'{root}/b']
    assert len(find_images(root)) == 3 and len(folders) == 4  # outside, folders may change between calls


def test_a_data_set_keeps_no_other_list(tmp_path):
    fill(tmp_path, *(f'{i:03d}.jpg' for i in range(20)))
    dataset = UnlabelledFolder(str(tmp_path), serialize_data=True)
    paths = [f'{tmp_path}/{i:03d}.jpg' for i in range(20)]
    assert [dataset.get_data_info(i) for i in (0, -1)] == [dict(img_path=paths[i], seg_fields=[], sample_idx=i % 20)
                                                           for i in (0, -1)]
    dataset.get_data_info(3)['seg_fields'].append('changed')
    assert dataset.get_data_info(3)['seg_fields'] == []
    for indices, expected in ((5, paths[:5]), (-3, paths[-3:]), ([7, 1], [paths[7], paths[1]])):
        parts = dataset.get_subset(indices), copy.deepcopy(dataset), UnlabelledFolder(str(tmp_path), indices=indices)
        parts[1].get_subset_(indices)
        for part in parts:
            assert [part.get_data_info(i)['img_path'] for i in range(len(part))] == expected
