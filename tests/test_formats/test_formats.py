"""Maps that are written as annotations and read back, and what corrections by hand may hold."""
import base64
import io
import json
import os
import os.path as osp
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from mmseg_unsup.apis.annotations import Annotations
from mmseg_unsup.apis.image_names import ImageNames
from mmseg_unsup.formats import table
from mmseg_unsup.formats.coco import decode_runs
from mmseg_unsup.formats.job import Job
from mmseg_unsup.formats.label_studio import decode_brush
from mmseg_unsup.formats.shapes import pixels_of_runs
from mmseg_unsup.formats.table import FORMATS, check_formats
from mmseg_unsup.formats.writing import check_maps, write_formats
from mmseg_unsup.visualization import cluster_palette

pytest.importorskip('shapely')
mask = pytest.importorskip('pycocotools.mask')

CLASSES = ['sky & "air"', 'Straße', 'cluster 2']
OF_PICTURES = [name for name in FORMATS if name not in ('geotiff', 'video')]  # of any, and read back
NAMES = ['a b.jpg', 'caf\udce9.png', osp.join('Übung', 'turned.jpg')]  # the second one is no UTF-8


@pytest.fixture
def maps(tmp_path) -> dict:
    """Name -> (H, W) classes, 255 for void; the images are below tmp_path/images, one of them on its side."""
    rng = np.random.default_rng(0)
    found = {}
    for i, name in enumerate(NAMES):
        height, width = 40 + 8 * i, 60
        noise = np.kron(rng.integers(0, 3, (height // 8, -(-width // 8))), np.ones((8, 8), int))[:, :width]
        noise[5:9, 5:9] = 2 - noise[5:9, 5:9]
        noise[20:30, 30:33] = 255
        found[name] = noise.astype(np.uint8)
        path = tmp_path / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = 6 if 'turned' in name else 1
        Image.new('RGB', (height, width) if 'turned' in name else (width, height)).save(path, exif=exif)
    return found


def write(tmp_path, maps, formats, tolerance=1.) -> list:
    job = Job(str(tmp_path / 'out'), CLASSES, cluster_palette(len(CLASSES)), str(tmp_path / 'images'))
    os.makedirs(job.out, exist_ok=True)
    return write_formats(formats, job, [*maps], maps.__getitem__, tolerance, workers=2)


def read(path, tmp_path, classes=CLASSES) -> dict:
    return dict(Annotations(str(path), ImageNames.of(str(tmp_path / 'images')), classes))


def test_all_formats_give_back_what_was_written(maps, tmp_path):
    for path in write(tmp_path, maps, OF_PICTURES, tolerance=0):
        found = read(path, tmp_path)
        assert found.keys() == maps.keys()
        for name in maps:
            np.testing.assert_array_equal(found[name], maps[name], path)
    assert not [name for _, _, names in os.walk(tmp_path / 'out') for name in names if name.endswith('.part')]
    classes = {'renamed' if name == 'cluster 2' else name: None for name in CLASSES}
    with pytest.raises(ValueError, match="'cluster 2', which the model does not know"):
        read(tmp_path / 'out' / 'coco.json', tmp_path, [*classes])


def test_simple_polygons_are_near_the_maps(maps, tmp_path):
    for path in write(tmp_path, maps, ['coco-polygons', 'yolo']):
        for name, ids in read(path, tmp_path).items():
            ious = [((ids == c) & (maps[name] == c)).sum() / ((ids == c) | (maps[name] == c)).sum() for c in range(3)]
            assert min(ious) > 0.95 and np.mean(ious) > 0.98


def test_what_other_programs_look_for(maps, tmp_path):
    """The keys and values that their documentation asks for."""
    write(tmp_path, maps, OF_PICTURES)
    out = tmp_path / 'out'
    coco = json.loads((out / 'coco.json').read_text())
    assert coco['images'][0] == dict(id=1, file_name='a b.jpg', height=40, width=60)
    assert [category['id'] for category in coco['categories']] == [1, 2, 3]
    first = coco['annotations'][0]
    assert first['area'] == (maps['a b.jpg'] == 0).sum() == mask.decode(first['segmentation']).sum()
    ys, xs = np.nonzero(maps['a b.jpg'] == 0)
    assert first['bbox'] == [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1] and first['iscrowd'] == 0
    task = json.loads((out / 'label_studio.json').read_text())[2]
    assert task['data']['image'] == '/data/local-files/?d=%C3%9Cbung/turned.jpg'
    value = task['predictions'][0]['result'][0]['value']
    assert value['polygonlabels'][0] in CLASSES and 0 <= min(map(min, value['points'])) <= max(
        map(max, value['points'])) <= 100
    interface = ElementTree.parse(out / 'label_studio.xml').getroot()
    assert [label.get('value') for label in interface.find('PolygonLabels')] == CLASSES
    image = ElementTree.parse(out / 'cvat.xml').getroot().find('image')
    assert (image.get('name'), image.get('width'), image.get('height')) == ('a b.jpg', '60', '40')
    assert [label['name'] for label in json.loads((out / 'cvat_labels.json').read_text())] == CLASSES
    labelme = json.loads((out / 'labelme' / 'Übung' / 'turned.json').read_text())
    image = out / 'labelme' / 'Übung' / labelme['imagePath']
    assert osp.samefile(image, tmp_path / 'images' / 'Übung' / 'turned.jpg')
    lines = (out / 'yolo' / 'labels' / 'a b.txt').read_text().splitlines()
    assert lines and all(len(line.split()) >= 7 and 0 <= min(map(float, line.split()[1:])) for line in lines)
    ids = np.asarray(Image.open(out / 'cityscapes' / 'a b_gtFine_labelIds.png'))
    color = np.asarray(Image.open(out / 'cityscapes' / 'a b_gtFine_color.png'))
    assert (ids == maps['a b.jpg']).all() and (color[ids == 1] == cluster_palette(3)[1]).all()


def test_names_of_cityscapes(tmp_path):
    (tmp_path / 'images').mkdir()
    Image.new('RGB', (2, 1)).save(tmp_path / 'images' / 'bonn_leftImg8bit.png')
    maps = {'bonn_leftImg8bit.png': np.array([[1, 255]], np.uint8)}
    for path in write(tmp_path, maps, ['cityscapes', 'yolo']):
        assert read(path, tmp_path)['bonn_leftImg8bit.png'].tolist() == [[1, 255]]
    assert (tmp_path / 'out' / 'cityscapes' / 'bonn_gtFine_labelIds.png').exists()
    assert (tmp_path / 'out' / 'yolo' / 'labels' / 'bonn_leftImg8bit.txt').exists()


def test_a_file_that_breaks_off_leaves_the_former_one(maps, tmp_path):
    write(tmp_path, maps, ['coco', 'cvat'])
    before = {name: (tmp_path / 'out' / name).read_bytes() for name in ('coco.json', 'cvat.xml')}
    with pytest.raises(KeyError):
        job = Job(str(tmp_path / 'out'), CLASSES, cluster_palette(3), '')
        write_formats(['cvat', 'coco'], job, [*maps, 'gone.png'], maps.__getitem__)
    assert {name: (tmp_path / 'out' / name).read_bytes() for name in sorted(os.listdir(tmp_path / 'out'))
            if name != 'cvat_labels.json'} == before


def test_a_list_of_other_classes_is_no_list_of_new_maps(maps, tmp_path):
    """Folders of which a part is new are not read by the former names; with the same names all stays as it was."""
    lists = [tmp_path / 'out' / 'yolo' / 'data.yaml', tmp_path / 'out' / 'cityscapes' / 'labels.json']
    for names, is_left in ((CLASSES, True), (CLASSES[::-1], False)):
        write(tmp_path, maps, ['yolo', 'cityscapes'])
        with pytest.raises(KeyError):
            job = Job(str(tmp_path / 'out'), names, cluster_palette(3), '')
            write_formats(['yolo', 'cityscapes'], job, [*maps, 'gone.png'], maps.__getitem__)
        assert [path.exists() for path in lists] == [is_left] * 2


def test_many_classes(tmp_path):
    classes = [f'cluster {k}' for k in range(300)]
    with pytest.raises(ValueError, match=r'^the format cityscapes holds 255 classes at most, and there are 300: merge'):
        check_maps(['coco', 'cityscapes'], classes, '', ['a.png'])
    (tmp_path / 'images').mkdir()
    Image.new('RGB', (2, 1)).save(tmp_path / 'images' / 'a.png')
    ids = np.array([[299, 65535]], np.uint16)
    path, = write_formats(['coco'], Job(str(tmp_path), classes, cluster_palette(300), ''), ['a.png'], lambda _: ids)
    assert read(path, tmp_path, classes)['a.png'].tolist() == ids.tolist()


def test_what_cannot_be_written(monkeypatch):
    with pytest.raises(ValueError, match=r"^there is no format 'kml': choose from coco, coco-polygons, label-studio"):
        check_formats(['kml'])
    with pytest.raises(ValueError, match=r'yolo has one file for a.jpg and a.png, a.txt: rename one of the images'):
        check_maps(['cvat', 'yolo'], CLASSES, '', ['a.jpg', 'a.png'])
    with monkeypatch.context() as patch:
        patch.setattr('shapely.geos_version', (3, 11, 4))
        with pytest.raises(ImportError, match='^the format yolo needs shapely 2.1 with GEOS 3.12 or later, which is '):
            check_formats(['coco', 'yolo'])
    monkeypatch.setattr(table, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r'^the format cvat needs shapely .*, which is not installed. Run: pip '
                                          r'install "mmseg-unsup\[formats\]"$'):
        check_formats(['cvat'])
    check_formats(['cityscapes'])


COCO = dict(categories=[dict(id=7, name='Straße')], images=[dict(id=1, file_name='a b.jpg', height=40, width=60)])
CVAT = '<annotations><image name="a b.jpg" width="60" height="40">{}</image></annotations>'


def coco(segmentation, **changes) -> str:
    return json.dumps(COCO | dict(annotations=[dict(image_id=1, category_id=7, segmentation=segmentation)]) | changes)


def studio(kind='polygonlabels', label='Straße', **value) -> str:
    item = dict(type=kind, original_width=60, original_height=40, value=dict(value, **{kind: [label]}))
    return json.dumps([dict(data=dict(image='/data/upload/3/0a1b2c3d-a%20b.jpg'), annotations=[
        dict(result=[], was_cancelled=True), dict(result=[item])][::-1])])


def labelme(points, kind='polygon', **shape) -> str:
    return json.dumps(dict(imageWidth=60, imageHeight=40, shapes=[
        dict(label='Straße', points=points, shape_type=kind, **shape)]))


def png(pixels) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'PNG')
    return base64.b64encode(file.getvalue()).decode()


CORNERS = dict(label='Straße', xtl=10, ytl=5, xbr=20, ybr=8)


def box(label='Straße', **values) -> str:
    values = CORNERS | dict(label=label) | values
    return '<box ' + ' '.join(f'{key}="{value}"' for key, value in values.items()) + '/>'


RING = [10, 5, 20, 5, 20, 8, 10, 8]
RUNS = mask.encode(np.asfortranarray(np.pad(np.ones((3, 10), np.uint8), ((5, 32), (10, 40)))))
UNCOMPRESSED = [10 * 40 + 5, *[3, 37] * 9, 3, 40 * 40 + 32]
# the pixels [5:8, 10:20], in the ways of the programs
CORRECTED = {
    'polygon.json': coco([RING]),
    'parts.json': coco([[10, 5, 12, 5, 12, 8, 10, 8], [12, 5, 20, 5, 20, 8, 12, 8]]),
    'runs.json': coco(dict(size=[40, 60], counts=RUNS['counts'].decode())),
    'counts.json': coco(dict(size=[40, 60], counts=UNCOMPRESSED)),
    'studio.json': studio(points=[(x / .6, y / .4) for x, y in zip(RING[::2], RING[1::2])]),
    'rectangle.json': studio('rectanglelabels', x=10 / .6, y=5 / .4, width=10 / .6, height=3 / .4),
    'box.xml': CVAT.format(box(z_order=1) + box('cluster 2', xtl=11, ytl=6)),  # below the other one
    'mask.xml': CVAT.format('<mask label="Straße" left="9" top="5" width="11" height="3" rle="1,10,1,10,1,10"/>'),
    'points.xml': CVAT.format('<polygon label="Straße" points="10,5;20,5;20.0,8;10,8"/><tag label="x"/>'),
    'polygons/a b.json': labelme([(10, 5), (20, 5), (20, 8), (10, 8)]),
    'rectangles/a b.json': labelme([(10, 5), (20, 8)], 'rectangle'),
    'masks/a b.json': labelme([(10, 5), (19, 7)], 'mask', mask=png(np.full((3, 10), True))),
}


@pytest.mark.parametrize('name', CORRECTED)
def test_corrections_of_other_programs(name, maps, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(CORRECTED[name], encoding='utf-8')
    (image, ids), = read(path.parent if '/' in name else path, tmp_path).items()
    expected = np.full((40, 60), 255)
    expected[5:8, 10:20] = 1
    assert image == 'a b.jpg' and ids.tolist() == expected.tolist()


def test_brush_masks_of_label_studio(maps, tmp_path):
    """Values and a mask as the format is described: a head of 53 bits, then runs and single values."""
    def pack(*numbers):
        bits = ''.join(f'{number:0{width}b}' for number, width in numbers)
        bits += '0' * (-len(bits) % 8)
        return [int(bits[i:i + 8], 2) for i in range(0, len(bits), 8)]

    def head(n):
        return (n, 32), (7, 5), (2, 4), (3, 4), (7, 4), (15, 4)

    def run(value, n):
        return (1, 1), (3, 2), (n - 1, 16), (value, 8)

    content = pack(*head(9), *run(200, 4), (0, 1), (0, 2), (2, 3), (1, 8), (2, 8), (3, 8), *run(0, 2))
    assert decode_brush(bytes(content), 9).tolist() == [200] * 4 + [1, 2, 3, 0, 0]
    rle = pack(*head(9600), *run(0, 1240), *run(255, 40), *run(0, 8320))  # ten pixels of four values in row 5
    path = tmp_path / 'x.json'
    path.write_text(studio('brushlabels', format='rle', rle=rle))
    assert np.argwhere(read(path, tmp_path)['a b.jpg'] == 1).tolist() == [[5, x] for x in range(10, 20)]
    path.write_text(studio('brushlabels', format='rle', rle=rle[:-3]))
    with pytest.raises(ValueError, match="brush mask of 'Straße' that is none of an image of 60x40 pixels"):
        read(path, tmp_path)


@pytest.mark.parametrize('shape', [(1, 1), (1, 40), (3, 2), (31, 33), (300, 700)])
@pytest.mark.parametrize('share', [0, 0.001, 0.1, 0.5, 1])
def test_run_lengths_are_those_of_pycocotools(shape, share):
    """Also of long runs, and of those that are shorter than the one before the last."""
    pixels = np.random.default_rng(0).random(shape) < share
    text = mask.encode(np.asfortranarray(pixels, np.uint8))['counts'].decode()
    assert (pixels_of_runs(decode_runs(text), shape, 'F') == pixels).all()


BAD = {
    'x.json': [
        ('{"categories": [', 'x.json cannot be read as JSON'),
        ('{"a": 1}', 'is no file of annotations, which are JSON of COCO or .*, Cityscapes or GeoTIFFs$'),
        ('[]', 'x.json has annotations of no image'),
        (coco([RING], categories=[]), 'of the image 1 and the category 7, of which one is not listed there'),
        (coco([RING[:4]]), r"image a b.jpg, has a polygon of 'Straße' with 2 points, and three"),
        (coco([['x'] * 6]), 'whose points are no pairs of numbers'),
        (coco([[0, 0, 1e9, 0, 0, 1]]), 'whose outline is 2e.09 pixels long, for which an image of 60x40 has no place'),
        ('[{"data": {"name": "a b.jpg"}, "annotations": [3]}]', 'holds what its format does not know'),
        (studio(label=3, points=[(0, 0), (1, 0), (1, 1)]), 'has a shape whose class is called 3: give it a name'),
        (coco([]), 'without a segmentation: a box says nothing of pixels'),
        (coco(dict(size=[4, 6], counts='x')), r'size \[4, 6\], but height and width are \[40, 60\]'),
        (coco(dict(size=[40, 60], counts=[5, 5])), 'that do not make up the image'),
        (coco(dict(size=[40, 60], counts=RUNS['counts'].decode()[:-2])), 'that do not make up the image'),
        (coco([RING], images=[dict(COCO['images'][0], height=41)]), 'has 60x41 pixels, but it has 60x40: give'),
        (coco([RING], images=[dict(COCO['images'][0], file_name='c.jpg')]), 'of c.jpg, but there is no such image'),
        (coco([RING], images=[dict(id=1, file_name='a b.jpg', width=60)]), "lacks 'height'"),
        (coco([RING], images=COCO['images'] + [dict(COCO['images'][0], id=2)]), 'has two annotations of a b.jpg'),
        (coco([RING], categories=[dict(id=7, name='Strase')]), "class 'Strase', .* did you mean Straße"),
        (studio('keypointlabels', x=1, y=1), "type 'keypointlabels', which is no area"),
        (studio('rectanglelabels', x=1, y=1, width=1, height=1, rotation=5), 'rotated rectangle'),
    ],
    'x.xml': [
        ('<annotations>', 'x.xml cannot be read as XML'),
        ('<annotations><track/></annotations>', 'is no file of CVAT for images'),
        (CVAT.format('<points label="Straße" points="1,1"/>'), "a shape 'points' of 'Straße', which is no area"),
        (CVAT.format('<polygon label="Straße" points="1,1;2,2"/>'), 'with 2 points'),
        (CVAT.format('<polygon label="Straße"/>'), 'lacks a value of points'),
        (CVAT.format('<mask label="Straße" left="0" top="0" width="2" height="2" rle="1,2"/>'), 'a mask of 2x2'),
        (CVAT.format('<mask label="Straße" left="59" top="0" width="2" height="2" rle="1,3"/>'), 'does not lie in'),
        (CVAT.format(box(rotation=3)), 'rotated box'),
    ],
    'x/data.yaml': [
        ('names: 3', 'does not list the classes as "names"'), ('names: [', 'does not list the classes as "names"'),
        ('names: [a]', 'x has annotations of no image'),
    ],
    'x/a b.json': [
        (labelme([(1, 1), (2, 2)], 'line'), "shape 'line' of 'Straße', which is no area"),
        (labelme([(1, 1)], 'rectangle'), 'with 1 corners'),
        (labelme([(0, 0), (1, 1)], 'mask', mask='eA=='), "a mask of 'Straße' that is no PNG"),
        ('{}', "lacks 'imageHeight'"),
    ],
}


@pytest.mark.parametrize('name, content, message', [(name, *case) for name, cases in BAD.items() for case in cases])
def test_what_cannot_be_read(name, content, message, maps, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content, encoding='utf-8')
    with pytest.raises(ValueError, match=message) as error:
        read(path.parent if '/' in name else path, tmp_path)
    assert '\n' not in str(error.value)


def test_places_without_annotations(maps, tmp_path):
    with pytest.raises(FileNotFoundError, match='there are no annotations .*x.json'):
        read(tmp_path / 'x.json', tmp_path)
    with pytest.raises(ValueError, match='images is no folder of annotations, which has data.yaml'):
        read(tmp_path / 'images', tmp_path)
    path, = write(tmp_path, maps, ['yolo'])
    for line, message in (('9 0 0 1 0 1 1', "the class '9', which data.yaml"), ('0 0 0 1 1', "a box of 'sky & ")):
        (tmp_path / 'out' / 'yolo' / 'labels' / 'a b.txt').write_text(line)
        with pytest.raises(ValueError, match=re.escape(message)):
            read(path, tmp_path)
