"""Corrected maps as they come back: which classes they have, which of them count, and what is wrong with them."""
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from mmseg_unsup.apis.corrections import Corrections
from mmseg_unsup.apis.image_names import ImageNames
from mmseg_unsup.apis.learn_labels import write_labels
from mmseg_unsup.datasets.pictures import read_indexed
from mmseg_unsup.visualization import cluster_palette

pytest.importorskip('pycocotools')

NAMES = ('a.jpg', 'b ü.png', 'monday/a.png')
UNNAMED = ['cluster 0', 'cluster 1', 'cluster 2']


@pytest.fixture
def images(tmp_path):
    for name in NAMES:
        path = tmp_path / 'My Photos' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (20, 10)).save(path)
    return ImageNames.of(str(tmp_path / 'My Photos'))


def label_studio(path, tasks: dict) -> str:
    """``tasks``: name -> (key, label, x and width of a rectangle in percent)."""
    content = []
    for name, (key, label, left, width) in tasks.items():
        value = dict(x=left, y=0, width=width, height=100, rectanglelabels=[label])
        result = [dict(type='rectanglelabels', original_width=20, original_height=10, value=value)]
        content.append(dict(data=dict(image=name, name=name), **{key: [dict(result=result)]}))
    path.write_text(json.dumps(content))
    return str(path)


def label_map(folder, name: str, ids: np.ndarray) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imencode('.png', ids.astype(np.uint8))[1].tofile(path)
    return str(folder)


def test_drafts_count_where_there_is_nothing_else(images, tmp_path):
    path = label_studio(tmp_path / 'tasks.json', {
        'a.jpg': ('predictions', 'cluster 2', 0, 100), 'b ü.png': ('annotations', 'road', 50, 50),
        'monday/a.png': ('annotations', 'car', 0, 100)})
    found = Corrections([path], images, unnamed=UNNAMED)
    assert found.names == ['b ü.png', 'monday/a.png'] and found.classes == ['car', 'road']
    ids = dict(found)['b ü.png']
    assert (ids[:, :10] == 255).all() and (ids[:, 10:] == 1).all()
    drafts = label_studio(tmp_path / 'drafts.json', dict.fromkeys(NAMES, ('predictions', 'cluster 2', 0, 100)))
    assert Corrections([drafts], images, named=UNNAMED).names == [*NAMES]


def test_the_last_source_counts_and_classes_have_an_order(images, tmp_path):
    first = label_studio(tmp_path / 'first.json', {
        'a.jpg': ('annotations', 'sky', 0, 100), 'b ü.png': ('annotations', 'cluster 1', 0, 100)})
    second = label_studio(tmp_path / 'second.json', {'a.jpg': ('annotations', 'road', 0, 50)})
    found = Corrections([first, second], images, unnamed=UNNAMED)
    assert found.classes == ['cluster 1', 'road', 'sky']  # those of the model first, others by the alphabet
    maps = dict(found)
    assert np.bincount(maps['a.jpg'].ravel(), minlength=256)[[1, 255]].tolist() == [100, 100]
    assert (dict(Corrections([second, first], images, unnamed=UNNAMED))['a.jpg'] == 2).all()
    assert Corrections([first], images, given=['sky', 'cluster 1', 'x']).classes == ['sky', 'cluster 1', 'x']
    with pytest.raises(ValueError, match="'sky', which the model does not know: did you mean skye. Rename it in"):
        Corrections([first], images, named=['road', 'skye', 'cluster 1'])
    assert Corrections([first, second], images, only=['b*', 'a.jpg']).names == ['a.jpg', 'b ü.png']
    assert Corrections([first, second], images, only=['a.*']).names == ['a.jpg']
    with pytest.raises(ValueError, match='--only monday/. is the name of no image .* such as a.jpg: give names'):
        Corrections([first], images, only=['monday/*'])


def test_label_maps_by_the_names_of_maps_or_images(images, tmp_path, capsys):
    ids = np.arange(200).reshape(10, 20) % 3
    ids[3:5] = 255
    folder = label_map(tmp_path / 'maps', 'a.jpg.png', ids)
    label_map(tmp_path / 'maps', 'monday/a.png', 2 - ids % 3)
    found = Corrections([folder], images, unnamed=UNNAMED)
    assert found.classes == UNNAMED and found.names == ['a.jpg', 'monday/a.png']
    np.testing.assert_array_equal(dict(found)['a.jpg'], ids)
    labels = write_labels(found, images.root, str(tmp_path / 'labels'), cluster_palette(3))
    np.testing.assert_array_equal(read_indexed(str(tmp_path / 'labels' / 'a.png')), ids)
    wanted = np.bincount(ids[ids < 3], minlength=3) + np.bincount((2 - ids % 3).ravel(), minlength=3)
    assert labels.counts.tolist() == wanted.tolist() and labels.n_pixels == 400
    predicted = np.ones((10, 20), np.int16)
    np.testing.assert_array_equal(labels.put_into('a.jpg', predicted), np.where(ids == 255, 1, ids))
    np.testing.assert_array_equal(labels.put_into('b ü.png', predicted), predicted)
    again = write_labels(Corrections([folder], images, given=['x', 'y', 'z'], only=['a.jpg']), images.root,
                         str(tmp_path / 'labels'), cluster_palette(3))
    assert again.digest != labels.digest and not (tmp_path / 'labels' / 'monday' / 'a.png').exists()
    with pytest.raises(ValueError, match='a.jpg.png has the value 2, but the 2 classes are 0..1, .*--classes'):
        dict(Corrections([folder], images, given=['x', 'y']))
    label_map(tmp_path / 'maps', 'a.jpg.png', ids[:, 1:])
    with pytest.raises(ValueError, match='a.jpg.png has 19x10 pixels, but its image .*a.jpg has 20x10: give a map'):
        dict(Corrections([folder], images, unnamed=UNNAMED))
    label_map(tmp_path / 'maps', 'a.jpg.png', np.full((10, 20), 255))
    label_map(tmp_path / 'maps', 'monday/a.png', np.full((10, 20), 255))
    with pytest.raises(ValueError, match='no pixel of the 2 images that were corrected has a label'):
        write_labels(Corrections([folder], images, unnamed=UNNAMED), images.root, str(tmp_path / 'void'),
                     cluster_palette(3))


def test_what_is_no_correction(images, tmp_path):
    with pytest.raises(FileNotFoundError, match='there are no labels .*/nowhere'):
        Corrections([str(tmp_path / 'nowhere')], images)
    for name in ('predictions.json', 'coco.json', 'yolo/data.yaml', 'videos/a.mp4'):
        (tmp_path / 'out' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'out' / name).write_text('{}')
    label_map(tmp_path / 'out' / 'maps', 'a.jpg.png', np.zeros((10, 20)))
    with pytest.raises(ValueError, match='out is a folder of results: give what was corrected in it, of maps, coco.json'
                                         ', yolo/$'):
        Corrections([str(tmp_path / 'out')], images)
    folder = label_map(tmp_path / 'maps', 'c.png', np.zeros((10, 20)))
    with pytest.raises(ValueError, match='no image of .*My Photos has a label map in .*maps, which has 1 PNG: that of '
                       '.*a.jpg would be called a.jpg.png, or so without the suffix'):
        Corrections([folder], images, unnamed=UNNAMED)
    with pytest.raises(ValueError, match='lie below the folder of images'):
        Corrections([str(tmp_path / 'My Photos' / 'monday')], images, unnamed=UNNAMED)
    one = label_studio(tmp_path / 'one.json', {'a.jpg': ('annotations', 'sky', 0, 100)})
    with pytest.raises(ValueError, match=r'have 1 classes \(sky\), and between 2 and 254 can be learnt: .*--classes'):
        Corrections([one], images)
    for name in ('sky ', 'a\nb'):
        with pytest.raises(ValueError, match='must not be empty, begin .* but one is .*: rename it in the labels'):
            Corrections([one], images, given=['sky', name])
    with pytest.raises(ValueError, match='--classes sky sky has a name twice'):
        Corrections([one], images, given=['sky', 'sky'])
    Image.new('RGB', (20, 10)).save(tmp_path / 'My Photos' / 'a.bmp')
    images = ImageNames.of(images.root)
    twins = label_studio(tmp_path / 'twins.json', dict.fromkeys(('a.jpg', 'a.bmp'), ('annotations', 'sky', 0, 100)))
    with pytest.raises(ValueError, match='a.bmp and a.jpg would have one label map, a.png: rename one'):
        write_labels(Corrections([twins], images, given=['sky', 'x']), images.root, str(tmp_path / 'twins'),
                     cluster_palette(2))
