"""Annotation files that are meant to do harm, or were damaged: a sentence each, and no more memory than the image asks
for."""
import json
import resource
import struct
import warnings
import zlib
from base64 import b64encode

import pytest
from PIL import Image

from mmseg_unsup.apis.corrections import Corrections
from mmseg_unsup.apis.image_names import ImageNames
from mmseg_unsup.formats import label_studio
from .test_formats import COCO, CVAT, RING, RUNS, box, coco, labelme, read, studio

pytest.importorskip('pycocotools')

SPARE = 256 << 20  # bytes of address space that reading may take; what files claim is gigabytes
HUGE = 40_000
MILLIARD = 10**9


@pytest.fixture
def little_memory():
    with open('/proc/self/statm') as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    former = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + SPARE, former[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, former)


@pytest.fixture
def image(tmp_path):
    (tmp_path / 'images').mkdir()
    Image.new('RGB', (60, 40)).save(tmp_path / 'images' / 'a b.jpg')


def of_size(height, width) -> dict:
    return dict(images=[dict(COCO['images'][0], height=height, width=width)])


def grey_png(side: int) -> bytes:
    """A square of zeros."""
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))

    head = chunk(b'IHDR', struct.pack('>IIBBBBB', side, side, 8, 0, 0, 0, 0))
    packer = zlib.compressobj(1)
    rows = b''.join(packer.compress(bytes(side + 1)) for _ in range(side)) + packer.flush()
    return b'\x89PNG\r\n\x1a\n' + head + chunk(b'IDAT', rows) + chunk(b'IEND', b'')


def brush(n_values: int) -> list:
    """A mask of Label Studio: runs of 65,536."""
    bits = f'{n_values:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}' + f'111{65535:016b}{255:08b}' * -(-n_values // 2**16)
    bits += '0' * (-len(bits) % 8)
    return [int(bits[i:i + 8], 2) for i in range(0, len(bits), 8)]


def mask(rle: str, width=2, height=2, left=0) -> str:
    return CVAT.format(f'<mask label="Straße" left="{left}" top="0" width="{width}" height="{height}" rle="{rle}"/>')


LARGE_CVAT = CVAT.replace('"60"', f'"{HUGE}"').replace('"40"', f'"{HUGE}"')
ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + ''.join(
    f'<!ENTITY {new} "{10 * f"&{old};"}">' for old, new in zip('abcdefgh', 'bcdefghi')) + ']>'
ALIASES = 'a: &a [x, x, x, x, x, x, x, x, x]\n' + ''.join(
    f'{new}: &{new} [{", ".join(9 * [f"*{old}"])}]\n' for old, new in zip('abcdefgh', 'bcdefghi')) + 'names: [*i]'
HOSTILE = {
    'x.json': [
        (coco(dict(size=[HUGE, HUGE], counts='PiTl0'), **of_size(HUGE, HUGE)), f'has {HUGE}x{HUGE} pixels, but it has'),
        (coco([RING], **of_size(MILLIARD, MILLIARD)), 'has 1000000000x1000000000 pixels, but it has 60x40: give the'),
        (coco([RING], **of_size(-40, -60)), 'has -60x-40 pixels, but it has 60x40'),
        (coco([RING], **of_size(1e308, 60)), r'has 60x1\d{19} pixels'),
        (coco([20_000 * [0, 0, 9e5, 9e5]]), 'whose outline is 3.6e.10 pixels long, for which an image of 60x40 has no'),
        (coco([20_000 * [0, 0, 59, 39]]), 'whose outline is 2.36e.06 pixels long'),
        (coco([[0, 0, float('nan'), 0, 0, 1]]), 'points are no pairs of numbers: .*nan.*; mend or remove it'),
        (coco([[0, 0, 10**400, 0, 0, 1]]), 'points are no pairs of numbers'),
        (coco(dict(size=[40, 60], counts=[1199.5, 1200.5])), 'run lengths of .* that do not make up the image'),
        (coco(dict(size=[40, 60], counts=[2400, 2**64, -2**64])), 'run lengths of .* that do not make up the image'),
        *((coco(dict(size=[40, 60], counts=counts)), 'run lengths of .* that do not make up the image') for counts in (
            '', '5', '55', RUNS['counts'].decode() + 'P', 10**6 * 'o', 'Straße')),  # P is the begin of a number
        (coco(dict(size=[40, 60])), "lacks 'counts', or has another value"),
        (coco([RING], images=2 * COCO['images']), 'x.json has two images of one id: export the file anew'),
        (coco([RING], categories=[dict(id=7, name='x'), *COCO['categories']]), 'has two categories of one id'),
        (coco([RING], categories=[dict(id=7, name=' ')]), "a shape whose class is called ' ': give it a name"),
        ('[' * 100_000, 'x.json cannot be read as JSON'),
        (studio('brushlabels', rle=brush(2**32 - 1)), 'brush mask of .* that is none of an image of 60x40 pixels'),
        (studio('brushlabels', rle=brush(2**32 - 1)).replace(': 60', f': {HUGE}'), f'has {HUGE}x40 pixels, but it has'),
        (studio(points=[[9e5, 1], [1, 9e5], [-9e5, 4]] * 1000), 'whose outline is .* pixels long'),
        (studio('rectanglelabels', x=10**400, y=0, width=1, height=1), 'points are no pairs of numbers'),
        (studio('rectanglelabels', x=10**400, y=0, width=1.5, height=1), 'holds what its format does not know: int'),
        (studio('rectanglelabels', x=1e308, y=0, width=1e308, height=1), 'points are no pairs of numbers'),
        (studio(label=['a'], points=[(0, 0), (1, 0), (1, 1)]), r"whose class is called \['a'\]: give it a name"),
    ],
    'x.xml': [
        (LARGE_CVAT.format(''), f'has {HUGE}x{HUGE} pixels, but it has 60x40'),
        (mask('1', HUGE, HUGE), f"mask of 'Straße' of {HUGE}x{HUGE} pixels at 0x0, which does not lie in an image of"),
        (mask('4', left='9' * 4000), 'pixels at 9{20}x0, which does not lie in'),
        (mask('4', -2, -2), 'a mask of .* of -2x-2 pixels'),
        (mask(f'{2**63 - 1},{2**63 - 1},6'), 'the run lengths do not make up a mask of 2x2'),
        (mask(str(2**70)), 'the run lengths do not make up a mask of 2x2'),
        (mask('1,x'), 'a mask of .* that lacks a value of rle, or has another there than a number'),
        (CVAT.format(box(xtl='x')), 'a box of .* that lacks a value of xtl, ytl, xbr, ybr, or has another'),
        (ENTITIES + CVAT.format('<tag label="&i;"/>'), "it declares a document type 'x', which no export has"),
        ('<?xml version="1.0" encoding="x-none"?>' + CVAT, 'x.xml cannot be read as XML: unknown encoding'),
    ],
    'x/a b.json': [
        (labelme([(0, 0), (1, 1)], 'mask', mask=b64encode(grey_png(13_000)).decode()),
         'mask of .* of 13000x13000 pixels at 0x0, which does not lie in an image of 60x40'),
        (labelme([(0, 0), (1, 1)], 'mask', mask=b64encode(grey_png(2).replace(b'\0\0\0\2\0\0\0\2', 2 * b'\0\1\0\0')
                                                          ).decode()), 'has a mask of .* that is no PNG: draw it'),
        (labelme([(1e300, 0), (1e300, 1)], 'mask', mask=b64encode(grey_png(2)).decode()), 'at 1.*x0, which does not'),
        (labelme([('a', 'b'), (1, 1)], 'rectangle'), 'points are no pairs of numbers'),
        (labelme([(1, 2), (1, )], 'rectangle'), 'points are no pairs of numbers'),
    ],
    'x/data.yaml': [
        (ALIASES, 'has something else than a text as the name of the class 0: write it in quotes'),
        ('names: [no]', 'has something else than a text as the name of the class 0: write it in quotes'),
        ('[' * 5000, 'does not list the classes as "names"'),
    ],
}


@pytest.mark.parametrize('name, content, message', [
    pytest.param(name, *case, id=f'{name} {i}') for name, cases in HOSTILE.items() for i, case in enumerate(cases)])
def test_a_sentence_and_little_memory(name, content, message, image, tmp_path, little_memory):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content, encoding='utf-8')
    with pytest.raises(ValueError, match=message) as error:
        read(path.parent if '/' in name else path, tmp_path)
    assert '\n' not in str(error.value) and str(tmp_path) in str(error.value)


@pytest.mark.parametrize('line, message', [
    ('² 0 0 0 1 1 1', "line 2 of .*a b.txt has the class '²', which data.yaml does not list"),
    ('1' * 5000 + ' 0 0 0 1 1 1', "has the class '1{50}"),
    ('0 0 0 9e5 9e5 0 1', 'whose outline is .* pixels long'),
    ('0 1e308 0 1e308 0.5 0 1', 'whose outline is nan pixels long'),
    ('0 0 nan 0 1 1 1', 'points are no pairs of numbers'),
    ('ÿ', "has the class 'ÿ'"), ('0', 'a polygon of .* with 0 points'),
    ('\udcff', "a b.txt cannot be read as text: 'utf-8' codec")])
def test_lines_of_yolo(line, message, image, tmp_path, little_memory):
    (tmp_path / 'x' / 'labels').mkdir(parents=True)
    (tmp_path / 'x' / 'data.yaml').write_text('names: [Straße]')
    (tmp_path / 'x' / 'labels' / 'a b.txt').write_text(f'\n{line}\n', encoding='utf-8', errors='surrogateescape')
    with pytest.raises(ValueError, match=message):
        read(tmp_path / 'x', tmp_path)


def test_numbers_that_overflow_in_a_large_image():
    content = studio(points=[[1e308, 0], [1e308, 50], [0, 90]]).replace(': 60', ': 600').replace(': 40', ': 400')
    annotated, = label_studio.read('x.json', json.loads(content))
    with warnings.catch_warnings(), pytest.raises(ValueError, match='whose outline is nan pixels long, for which an'):
        warnings.simplefilter('error')
        [*annotated.shapes((400, 600))]


def test_label_maps_that_claim_to_be_large(image, tmp_path, little_memory):
    """Of Cityscapes, and without a list of classes."""
    content = grey_png(HUGE // 2)
    for name in ('cityscapes/a b_gtFine_labelIds.png', 'maps/a b.png'):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(content)
    (tmp_path / 'cityscapes' / 'labels.json').write_text(json.dumps([dict(id=0, name='Straße')]))
    with pytest.raises(ValueError, match='says that a b.. has 20000x20000 pixels, but it has 60x40'):
        read(tmp_path / 'cityscapes', tmp_path)
    images = ImageNames.of(str(tmp_path / 'images'))
    with pytest.raises(ValueError, match='the label map .*a b.png has 20000x20000 pixels, but its image .* has 60x40'):
        dict(Corrections([str(tmp_path / 'maps')], images, given=['x', 'y']))


def test_rasters_that_claim_to_be_large(image, tmp_path, little_memory):
    rasterio = pytest.importorskip('rasterio')
    (tmp_path / 'x').mkdir()
    with rasterio.open(tmp_path / 'x' / 'a b.tif', 'w', driver='GTiff', width=HUGE, height=HUGE, count=1, dtype='uint8',
                       compress='deflate', tiled=True, SPARSE_OK=True) as file:
        file.update_tags(class_0='Straße')
    with pytest.raises(ValueError, match='a b.tif says that a b.. has 40000x40000 pixels, but it has 60x40'):
        read(tmp_path / 'x', tmp_path)
    with rasterio.open(tmp_path / 'x' / 'a b.tif', 'w', driver='GTiff', width=600, height=400, count=1, dtype='uint8',
                       compress='deflate', tiled=True, blockxsize=256, blockysize=256) as file:
        file.update_tags(class_0='Straße')
    content = (tmp_path / 'x' / 'a b.tif').read_bytes()
    for tag in (322, 323):  # width and height of a tile
        place = content.index(struct.pack('<HHIH', tag, 3, 1, 256))
        content = content[:place + 8] + struct.pack('<H', HUGE) + content[place + 10:]
    (tmp_path / 'x' / 'a b.tif').write_bytes(content)
    with pytest.raises(ValueError, match='a b.tif has 600x400 pixels in blocks of 40000x40000: write it anew'):
        read(tmp_path / 'x', tmp_path)


@pytest.mark.parametrize('name', [
    'a b.jpg', 'C:\\photos\\a b.jpg', '../../a b.jpg', '/etc/a b.jpg', 'x/a b.png', 'a b'])
def test_names_of_other_places_and_systems(name, image, tmp_path):
    """A file begins with a mark and has Windows line ends."""
    content = json.loads(coco([RING], images=[dict(COCO['images'][0], file_name=name)]))
    (tmp_path / 'x.json').write_bytes(('\ufeff' + json.dumps(content, indent=1).replace('\n', '\r\n')).encode())
    assert [*read(tmp_path / 'x.json', tmp_path)] == ['a b.jpg']
