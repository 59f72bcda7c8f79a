"""``segment`` with label maps of a few images."""
import json
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

import mmseg_unsup
from mmseg_unsup.apis import ClusterNames, UnsupInferencer
from mmseg_unsup.apis.examples import Examples
from mmseg_unsup.apis.loading import load_segmentor
from mmseg_unsup.datasets.errors import LabelError
from mmseg_unsup.datasets.image_files import find_images
from mmseg_unsup.utils import memory
from ..test_commands.test_segment import write_discs
from .test_segment_folder import small

NAMES = ['0', '3']  # labelled


def truth(image) -> np.ndarray:
    """(H, W) uint8, 1 on the disc."""
    return (cv2.imread(str(image)).mean(2) > 120).astype(np.uint8)


def label(images, folder, name):
    image = next(images.rglob(f'{name}.png'))
    path = folder / image.relative_to(images)
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = truth(image)
    labels[:4] = 255
    assert set(np.unique(labels)) == {0, 1, 255}
    cv2.imwrite(str(path), labels)
    return path


@pytest.fixture
def folders(tmp_path):
    images, labelled = write_discs(tmp_path / 'images'), tmp_path / 'labels'
    for name in NAMES:
        label(images, labelled, name)
    return images, labelled, tmp_path / 'out'


def test_a_few_label_maps_segment_the_rest(folders, capsys):
    images, labelled, out = folders
    call = dict(small('picie'), classes=['ground', 'disc'])
    found = mmseg_unsup.segment_folder(images, out, examples=labelled, **call)
    said = capsys.readouterr().out
    assert 'examples: 2 images of 2 classes' in said and 'label_next.json' in said and '8 images, 2 classes, in' in said
    report = json.loads((out / 'predictions.json').read_text())
    assert report['classes'] == ['ground', 'disc'] == [*found.shares] and len(report['images']) == 8
    for name in report['images']:
        assert (np.array(Image.open(out / 'maps' / name)) == truth(images / name)).mean() > 0.8
    assert found.checkpoint == str(out / 'examples.pth') and (out / 'gallery.html').is_file()
    again = UnsupInferencer.from_pretrained(out)(str(images))
    for of_image in again['predictions']:
        name = of_image['path'][len(str(images)) + 1:]
        assert report['confidence'][name] == pytest.approx(of_image['scores'].mean(), abs=1e-4)
        assert 0.5 <= of_image['scores'].min() and of_image['scores'].max() <= 1 + 1e-5
        np.testing.assert_array_equal(of_image['ids'], np.array(Image.open(out / 'maps' / name)))
    wanted = json.loads((out / 'label_next.json').read_text())['images']
    assert {entry['image'] for entry in wanted} == {f'{i}.png' for i in range(8)} - {'0.png', '3.png'}
    assert all(entry['confidence'] == report['confidence'][entry['image']] for entry in wanted)
    assert (out / 'examples.txt').read_text().split() == ['3', 'more/0']
    page = (out / 'gallery.html').read_text()
    assert all(f'</b>\n        {entry["image"]}</li>' in page for entry in wanted)
    assert 'mean of the images; the low' in page
    assert '<dt>Classes</dt><dd>2</dd>' in page and '<h2 id="clusters-title">Classes</h2>' in page

    label(images, labelled, '5')  # of more, everything but the training is made anew
    mmseg_unsup.segment_folder(images, out, examples=labelled, **call)
    said = capsys.readouterr().out
    assert 'train: finished before' in said and 'examples: 3 images of 2 classes' in said
    assert (out / 'examples.txt').read_text().split() == ['3', '5', 'more/0']
    more = json.loads((out / 'predictions.json').read_text())
    assert more['confidence'] != report['confidence'] and more['confidence'].keys() == report['confidence'].keys()
    mmseg_unsup.segment_folder(images, out, examples=labelled, **call)
    assert 'maps: finished before' in capsys.readouterr().out
    with pytest.raises(ValueError, match='records maps of labelled examples: give them again'):
        mmseg_unsup.segment_folder(images, out, **small('picie'))


def test_label_maps_that_cannot_be_examples(folders, monkeypatch):
    images, labelled, out = folders
    paths = find_images(str(images))

    def examples(folder=labelled, classes=None):
        return Examples(str(images), paths, str(folder), classes)

    assert examples().classes == ['class 0', 'class 1'] and examples(classes=['a', 'b', 'c']).classes[2] == 'c'
    with pytest.raises(FileNotFoundError, match="'.*/nowhere' does not exist: give the folder of label maps"):
        examples(labelled.parent / 'nowhere')
    with pytest.raises(ValueError, match='--classes a a are not two or more different names'):
        examples(classes=['a', 'a'])
    others = labelled.parent / 'others'
    shutil.copytree(labelled, others)
    for path in others.rglob('*.png'):
        path.rename(path.with_name(f'labels_{path.name}'))
    with pytest.raises(FileNotFoundError, match='no image of .*/images is labelled: .* and .*/others has 2 other PNGs: '
                       'name the maps like their images'):
        examples(others)
    shutil.copytree(labelled, images / 'labels')
    with pytest.raises(ValueError, match='lie below the folder of images .*: move them out of it'):
        examples(images / 'labels')
    path = labelled / '3.png'
    large = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(path), np.where(large == 1, 7, large))
    with pytest.raises(ValueError, match='values 0, 1, 7 beside 255, .*: name all classes .*--classes NAME'):
        examples()
    with pytest.raises(ValueError, match='label map .*/3.png has the value 7, but the 2 classes are 0..1, .*--classes'):
        examples(classes=['a', 'b'])
    cv2.imwrite(str(path), large[:, :-1])
    with pytest.raises(LabelError, match=r'label map .*/3.png has size \(79, 64\), but its image .* has \(80, 64\)'):
        examples()
    cv2.imwrite(str(path), large)
    with pytest.raises(ValueError, match='--examples needs features of every pixel, and maskcontrast has those of obj'):
        mmseg_unsup.segment_folder(images, out, examples=labelled, **small('maskcontrast'))
    with pytest.raises(ValueError, match='--classes a b are the names of what label maps show, and there are none'):
        mmseg_unsup.segment_folder(images, out, classes=['a', 'b'], **small('picie'))
    monkeypatch.setattr(memory, 'available_memory', lambda: 2**18)
    with pytest.raises(MemoryError, match='a memory of 5000 cells of 16 channels needs about .* give fewer examples'):
        mmseg_unsup.segment_folder(images, out, examples=labelled, **small('picie'))
    cv2.imwrite(str(path), np.full_like(large, 255))
    (labelled / 'more' / '0.png').unlink()
    with pytest.raises(ValueError, match='no pixel of the 1 label map in .*/labels is labelled, all are 255'):
        examples()
    assert not out.exists()


def test_names_from_the_page_are_examples(folders, capsys):
    """Named clusters give classes to places like theirs."""
    images, labelled, out = folders
    call = small('picie')
    names = out.parent / 'clusters.json'
    names.write_text('{}')
    with pytest.raises(ValueError, match='cannot use the cluster names .*clusters.json'):
        mmseg_unsup.segment_folder(images, out, examples=names, **call)
    found = mmseg_unsup.segment_folder(images, out, **call)
    given = ClusterNames.identity(*load_segmentor(None, found.checkpoint)[1].cluster_identity())
    given.renamed({0: 'ground'}).save(str(names))
    with pytest.raises(ValueError, match='clusters.json has names for 1 of 3 clusters: name those of two classes'):
        mmseg_unsup.segment_folder(images, out, examples=names, **call)
    with pytest.raises(FileNotFoundError, match='but --out has no model yet whose clusters these are'):
        mmseg_unsup.segment_folder(images, out.parent / 'other', examples=names, **call)
    with pytest.raises(ValueError, match='--classes a b are the names .* has names of its own: leave --classes out'):
        mmseg_unsup.segment_folder(images, out, examples=names, classes=['a', 'b'], **call)
    ids = {name: np.array(Image.open(out / 'maps' / name)) for name in json.loads(
        (out / 'predictions.json').read_text())['images']}
    on_disc = [np.mean([truth(images / name)[of_image == k].mean() for name, of_image in ids.items()
                        if (of_image == k).any()]) for k in range(3)]
    named = given.renamed({k: f'name {k}' for k in range(3)}).merged([sorted(range(3), key=on_disc.__getitem__)[:2]])
    named = named.renamed({c.name: 'disc' if len(c.clusters) == 1 else 'ground' for c in named.classes})
    named.save(str(names))
    capsys.readouterr()
    mmseg_unsup.segment_folder(images, out, examples=names, **call)
    said = capsys.readouterr().out
    assert 'examples: names of 3 clusters, 2 classes, in 8 images' in said and 'examples.txt' not in said
    table = [named.names.index('disc') == of_cluster for of_cluster in named.table]
    for name, of_image in ids.items():
        after = np.array(Image.open(out / 'maps' / name)) == named.names.index('disc')
        assert (after == np.array(table)[of_image]).mean() > 0.8
    assert '<h2 id="wanted-title">' in (out / 'gallery.html').read_text()
