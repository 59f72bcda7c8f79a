"""Features in files: what is read of them, parts that are missing, and files that are something else."""
import multiprocessing
import os
import pickle
import shutil

import numpy as np
import pytest
import torch

from mmseg_unsup.datasets import feature_store
from mmseg_unsup.datasets.feature_store import FeatureStore, StoredImages, make_store, open_store

N_IMAGES, N_VARIANTS = 5, 2
MAP, TOKEN = (3, 2, 4), (6, )


def head_of(**settings) -> dict:
    return dict(key=dict(weights='abc', images='def'), n_images=N_IMAGES, n_variants=N_VARIANTS, flips=True,
                outputs=[[['layer4', MAP], ['cls', TOKEN]]], image_shapes=[[3, 16, 32]]) | settings


def value(image: int, variant: int, flipped: bool, shape: tuple) -> np.ndarray:
    """Of an output, (C, h, w)."""
    return np.arange(np.prod(shape), dtype=np.float16).reshape(shape) / 8 + 100 * image + 10 * variant + 50 * flipped


def write_part(store: FeatureStore, part) -> None:
    rows = np.zeros(part.end - part.start, store.dtype)
    rows['is_readable'] = True
    for row, image in zip(rows, range(part.start, part.end)):
        for flipped in (False, True):
            row[store.field('layer4', 0, flipped)] = np.moveaxis(value(image, part.variant, flipped, MAP), 0, -1)
            row[store.field('cls', 0, flipped)] = value(image, part.variant, flipped, TOKEN)
    store.write(part, rows)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Three parts a variant, of two images or one."""
    monkeypatch.setattr(feature_store, '_PART_BYTES', 2 * 148)
    store = make_store(str(tmp_path / 'store'), head_of())
    assert [part[1:] for part in store.parts if part.variant == 1] == [(0, 2), (2, 4), (4, 5)]
    for part in store.parts:
        write_part(store, part)
    return store


def test_what_is_read(store):
    found = open_store(store.folder).maps([4, 0, 4], 'layer4', variant=1)
    assert found.dtype == np.float16 and found.strides[1] == found.itemsize  # the channels of a cell side by side
    assert np.array_equal(found, np.stack([value(image, 1, False, MAP) for image in (4, 0, 4)]))
    flipped = StoredImages(store, [[1, 1, 0, 0], [2, 0, 0, 0]]).flip(-1)
    images = torch.cat([StoredImages(store, [[3, 0, 0, 0]]), flipped])
    assert images.shape == (3, 3, 16, 32) and len(images[1:]) == 2
    for read in (images, pickle.loads(pickle.dumps(images))):
        maps = read.maps()
        for name, shape in dict(layer4=MAP, cls=TOKEN).items():
            expected = [value(3, 0, False, shape), value(1, 1, True, shape), value(2, 0, True, shape)]
            assert maps[name].dtype == torch.float32 and np.array_equal(maps[name], np.stack(expected))
    assert list(images.maps(['cls'])) == ['cls']


def test_what_has_no_pixels_says_so(store):
    images = StoredImages(store, [[0, 0, 0, 0]])
    with pytest.raises(TypeError, match='interpolate needs pixels, but .* leave out feature_cache'):
        torch.nn.functional.interpolate(images, scale_factor=2)
    with pytest.raises(TypeError, match='a window needs pixels'):
        images[..., :16, :16]
    with pytest.raises(TypeError, match='left to right'):
        images.flip(2)
    with pytest.raises(ValueError, match="has no output 'keys', only .*layer4.*: name it in out"):
        images.maps(['keys'])
    plain = make_store(f'{store.folder}_plain', head_of(flips=False))
    with pytest.raises(ValueError, match='no features of images flipped left to right: set .*flips=True'):
        StoredImages(plain, [[0, 0, 0, 1]]).maps()


@pytest.mark.parametrize('spoil', [
    lambda path: os.truncate(path, os.path.getsize(path) - 1), os.remove, lambda path: os.truncate(path, 0),
    lambda path: np.save(path, np.zeros(2, np.float16)),
    lambda path: np.save(path, np.array([{}, {}], dtype=object), allow_pickle=True)],
    ids=['cut', 'gone', 'empty', 'other', 'pickle'])
def test_parts_that_are_not_whole_are_missing(store, spoil):
    part = store.parts[1]
    spoil(os.path.join(store.folder, part.file))
    again = FeatureStore(store.folder, store.head)
    assert again.missing() == [part]
    with pytest.raises(ValueError, match=f'{part.file} is not there or was cut: start the run again'):
        again.row(3)
    write_part(again, part)
    assert again.missing() == [] and np.array_equal(again.maps([3]), value(3, 0, False, MAP)[None])


def test_parts_that_another_process_makes(store):
    missing = store.parts[:3]
    for part in missing:
        os.remove(os.path.join(store.folder, part.file))
    again = FeatureStore(store.folder, store.head)
    with again.claim(missing[:2]) as mine:
        assert mine == missing[:2]
        with multiprocessing.get_context('fork').Pool(1) as pool:
            assert pool.apply(claimed, (store.folder, missing)) == [missing[2]]
    with again.claim(missing) as mine:  # it has ended
        assert mine == missing


def claimed(folder: str, parts: list) -> list:
    with FeatureStore(folder, open_store(folder).head).claim(parts) as mine:
        return mine


def test_stores_of_something_else(store, monkeypatch):
    with pytest.raises(ValueError, match=r'holds features of something else \(weights abc there and xyz here\): name'):
        make_store(store.folder, head_of(key=dict(weights='xyz', images='def')))
    monkeypatch.setattr(shutil, 'disk_usage', lambda folder: shutil._ntuple_diskusage(0, 0, 100))
    store.check_space([])
    with pytest.raises(ValueError, match=f'5 images need .* more in {store.folder}, where .* are free: name another'):
        store.check_space(store.parts)
    with open(os.path.join(store.folder, 'features.json'), 'w') as file:
        file.write('{"key": {}')
    open_store.cache_clear()
    with pytest.raises(ValueError, match='features.json is no head of a feature cache .*: remove .*/store, and'):
        open_store(store.folder)
