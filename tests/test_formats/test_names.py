"""Names of images and classes that formats must keep, or refuse before anything is written."""
import json
import os
import os.path as osp
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from mmseg_unsup.apis.annotations import Annotations
from mmseg_unsup.apis.image_names import ImageNames
from mmseg_unsup.formats.job import Job
from mmseg_unsup.formats.table import FORMATS
from mmseg_unsup.formats.writing import check_maps, write_formats
from mmseg_unsup.visualization import cluster_palette
from .test_formats import OF_PICTURES

pytest.importorskip('shapely')
pytest.importorskip('pycocotools')

CLASSES = ['sky', 'road']


def read_back(tmp_path, names, classes=CLASSES) -> None:
    """What every format that takes these names gives back, and what Python's own parsers think of its files."""
    rng = np.random.default_rng(0)
    maps = {}
    for name in names:
        path = tmp_path / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (24, 16)).save(path, format='PNG')
        maps[name] = np.kron(rng.integers(0, len(classes), (2, 3)), np.ones((8, 8), int)).astype(np.uint8)
    images = ImageNames.of(str(tmp_path / 'images'))
    assert [*images] == sorted(names)
    is_shared = len({osp.splitext(name)[0].removesuffix('_leftImg8bit') for name in names}) < len(names)
    formats = [name for name in OF_PICTURES if not (is_shared and FORMATS[name].suffix)]
    job = Job(str(tmp_path / 'out'), classes, cluster_palette(len(classes)), str(tmp_path / 'images'))
    os.makedirs(job.out)
    for path in write_formats(formats, job, [*images], maps.__getitem__, tolerance=0):
        found = dict(Annotations(path, images, classes))
        assert found.keys() == maps.keys(), path
        for name in maps:
            np.testing.assert_array_equal(found[name], maps[name], path)
    for path in (tmp_path / 'out').rglob('*.json'):
        json.loads(path.read_text('utf-8'))
    assert [label.get('value') for label in ElementTree.parse(tmp_path / 'out' / 'label_studio.xml').iter('Label')] == (
        2 * classes)


@pytest.mark.parametrize('names', [
    ['a\nb\t"c" \'<&>]]>.jpg', '-a.jpg', '--out=x.png', 'caf\udce9.png', '\x85\u2028.jpg'],
    ['\u00fc.jpg', 'u\u0308.jpg', '\U0001f600 .jpg', ' x.jpg', '100%.jpg', 'a%20b?c=d&e#f+.jpg'],
    ['a.jpg', 'a.jpg.png'], ['a.jpg.png', 'b.jpg'], ['a.png', 'a.jpg', 'a.bmp'], ['x.png', 'x_leftImg8bit.jpg'],
    ['a/x_leftImg8bit.png', 'b/x_leftImg8bit.png'], ['x.1.jpg', 'x.2.jpg', '..x.jpg', '.hidden.jpg'],
    ['b.jpg', 'a/b.jpg', '*/b.jpg', 'b*.jpg'], ['a\\b.jpg', 'a/b.jpg'], ['labels/a.jpg', 'data.jpg']], ids=ascii)
def test_names_of_images(names, tmp_path):
    read_back(tmp_path, names)


@pytest.mark.parametrize('classes', [
    ['a"b\'', '<&>]]>'], ['\U0001f600', 'é, "x"; y'], ['no', '1', 'null', '~'], ['# x', ': y', '- z', '{0} %s', '*a'],
    ['a\\nb', 'c\\'], ['sky', 'Sky'], ['x' * 3000, 'y']], ids=lambda classes: ascii(classes)[:30])
def test_names_of_classes(classes, tmp_path):
    read_back(tmp_path, ['a b.jpg'], classes)


def test_names_that_a_format_cannot_hold():
    for name in ('a\x01b.jpg', 'a\ufffeb.jpg'):
        with pytest.raises(ValueError, match='^the format cvat, which is XML, cannot hold the name .*: rename'):
            check_maps(['coco', 'cvat'], CLASSES, '', [name])
    long = f'more/{"ü" * 125}.jpg'  # 254 bytes
    check_maps(['yolo', 'labelme'], CLASSES, '', [long])
    for format, n_bytes in (('cityscapes', 270), ('labelme', 256), ('geotiff', 262)):
        with pytest.raises(ValueError, match=f'^the format {format} has a file for more/ü.* whose name would have '
                                             f'{n_bytes} bytes, of 255 that are possible: shorten it'):
            check_maps([format], CLASSES, '', [long.replace('.jpg', 'x.jpg' if format == 'labelme' else '.tif')])
