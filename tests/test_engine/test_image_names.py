"""Lists of images that are compared by their names."""
import hashlib
import os
import os.path as osp
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, local

import pytest

from mmseg_unsup.datasets import LabelledDataset, UnlabelledFolder, ViewDataset, image_files
from mmseg_unsup.engine import image_names
from mmseg_unsup.engine.image_names import image_facts, names_digest
from mmseg_unsup.engine.training import train_config
from ..conftest import write_camvid
from ..test_datasets.test_image_files import fill
from .tiny import tiny_config


def test_the_digest_is_that_of_all_names(tmp_path, monkeypatch):
    write_camvid(tmp_path)
    monkeypatch.setattr(image_names, '_BLOCK', 3)
    part = dict(img_path='images/train')
    for dataset in (UnlabelledFolder(f'{tmp_path}/'), UnlabelledFolder(str(tmp_path), part),
                    UnlabelledFolder(str(tmp_path), part, indices=[3, 1]),
                    LabelledDataset(data_root=str(tmp_path), data_prefix=part, metainfo=dict(classes=['a']))):
        names = [osp.relpath(dataset.get_data_info(i)['img_path'], tmp_path) for i in range(len(dataset))]
        expected = hashlib.sha256(''.join(f'{name}\n' for name in names).encode()).hexdigest()[:16]
        assert names_digest(dataset) == names_digest(ViewDataset(dataset, [])) == expected
    assert names_digest([dict(img=0)]) is None


@pytest.mark.parametrize('other, index', [
    ('abcdefgh', None), ('abcdegh', 5), ('0abcdefgh', 0), ('abcdefgi', 7), ('abcdefg', 7), ('abcdefghi', 8),
    ('bcdefgh', 0), ('abcefgh', 3), ('abcdef', 6)])
def test_the_first_image_that_differs_is_named(tmp_path, monkeypatch, other, index):
    monkeypatch.setattr(image_names, '_BLOCK', 3)
    lists = [[f'sub/{letter}.jpg' for letter in letters] for letters in ('abcdefgh', other)]
    for rank, names in enumerate(lists):
        fill(tmp_path / str(rank), *names)
    datasets = [UnlabelledFolder(str(tmp_path / str(rank))) for rank in range(2)]
    for found, names in zip(on_two_ranks(monkeypatch, datasets), lists):
        expected = {'the number of training images': len(names)}
        if index is not None and index < len(names):
            expected[f'the training image {index + 1}'] = names[index]
        assert found == expected


def on_two_ranks(monkeypatch, datasets: list) -> list:
    """What each of two ranks, which are threads, says of its data set."""
    rank, values, barrier = local(), [None, None], Barrier(2, timeout=60)

    def gather(value) -> list:
        values[rank.number] = value
        barrier.wait()
        everywhere = [*values]
        barrier.wait()
        return everywhere

    def facts(number: int) -> dict:
        rank.number = number
        return image_facts('training', datasets[number])

    monkeypatch.setattr(image_names, 'all_gather_object', gather)
    with ThreadPoolExecutor(2) as pool:
        return [*pool.map(facts, range(2))]


@pytest.mark.filterwarnings('ignore')
def test_a_run_lists_its_folder_once(image_folder, tmp_path, monkeypatch):
    """For the loaders of training, probe and evaluation."""
    folders, scandir = [], os.scandir
    monkeypatch.setattr(image_files.os, 'scandir', lambda folder: folders.append(str(folder)) or scandir(folder))
    train_config(tiny_config(image_folder, tmp_path / 'run'))
    assert [folder for folder in folders if folder.startswith(image_folder)] == [image_folder, f'{image_folder}/more']
