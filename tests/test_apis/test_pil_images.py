"""PIL images are what their files are."""
import io

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_unsup.apis import image_input
from mmseg_unsup.apis.image_input import list_inputs, read_picture, upright_shape
from mmseg_unsup.datasets.errors import UnreadableImageError
from mmseg_unsup.datasets.transforms.loading import LoadImage
from mmseg_unsup.utils import memory
from ..conftest import smooth_image
from .test_inferencer import inferencer

PICTURE = smooth_image(np.random.default_rng(0), 40, 56)
ORIENTATION = 0x0112


def of_file(path) -> np.ndarray:
    return LoadImage(min_size=1).transform(dict(img_path=str(path)))['img']


def of_pil(image: Image.Image) -> np.ndarray:
    return read_picture(image, lambda shape: 0).image


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp', 'tif'])
@pytest.mark.parametrize('orientation', [1, 3, 6])
def test_upright_sizes_of_headers(suffix, orientation, tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / f'x.{suffix}'
    Image.fromarray(PICTURE).save(path, exif=exif)
    assert upright_shape(str(path)) == of_file(path).shape[:2]
    path.write_bytes(b'x')
    assert upright_shape(str(path)) is None


def image_of(mode: str) -> Image.Image:
    rgb = Image.fromarray(PICTURE)
    if mode in ('RGBA', 'LA'):
        image = rgb.convert(mode)
        image.putalpha(Image.fromarray(PICTURE[..., 0]))  # which files lose as well
        return image
    if mode == 'P with transparency':
        image = rgb.convert('P')
        image.info['transparency'] = 3
        return image
    if mode == 'I;16':
        return Image.fromarray(PICTURE[..., 0].astype(np.uint16) * 257 // 2)
    return rgb.convert(mode)


@pytest.mark.parametrize('mode', ['1', 'L', 'LA', 'P', 'P with transparency', 'RGB', 'RGBA', 'I;16'])
def test_values_of_the_saved_png(mode, tmp_path):
    image = image_of(mode)
    image.save(tmp_path / 'x.png')
    expected = of_file(tmp_path / 'x.png')
    for given in (image, Image.open(tmp_path / 'x.png')):
        np.testing.assert_array_equal(of_pil(given), expected)
    assert expected.shape == PICTURE.shape and expected.std() > 10
    if mode == 'RGB':
        np.testing.assert_array_equal(expected, PICTURE[..., ::-1])


@pytest.mark.parametrize('mode', ['CMYK', 'YCbCr', 'HSV', 'RGBX'])
def test_modes_that_png_does_not_have(mode, tmp_path):
    image = image_of(mode)
    image.convert('RGB').save(tmp_path / 'x.png')
    np.testing.assert_array_equal(of_pil(image), of_file(tmp_path / 'x.png'))


def test_whole_numbers_of_32_bits_are_those_of_16():
    image = image_of('I;16')
    wide = Image.fromarray(np.asarray(image).astype(np.int32))
    assert wide.mode == 'I'
    np.testing.assert_array_equal(of_pil(wide), of_pil(image))


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_turned_as_files_are(orientation, suffix, tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(PICTURE).save(tmp_path / f'x{suffix}', exif=exif)
    opened, expected = Image.open(tmp_path / f'x{suffix}'), of_file(tmp_path / f'x{suffix}')
    found = of_pil(opened)
    assert found.shape == expected.shape == (PICTURE.shape if orientation < 5 else (56, 40, 3))
    assert np.abs(found.astype(int) - expected).max() <= (0 if suffix == '.png' else 2)  # two decoders of JPEG
    assert opened.getexif()[ORIENTATION] == orientation  # the caller's image stays


def test_the_other_formats_of_files(tmp_path):
    for suffix in ('.bmp', '.tif', '.webp', '.ppm'):
        Image.fromarray(PICTURE).save(tmp_path / f'x{suffix}', **(dict(lossless=True) if suffix == '.webp' else {}))
        np.testing.assert_array_equal(of_pil(Image.open(tmp_path / f'x{suffix}')), of_file(tmp_path / f'x{suffix}'))


def test_an_inferencer_takes_them_where_it_takes_arrays(tmp_path):
    image, grey, path = Image.fromarray(PICTURE), Image.fromarray(PICTURE).convert('L'), str(tmp_path / 'x.png')
    image.save(path)
    built = inferencer('PiCIE', tmp_path)
    by_path, = built(path)['predictions']
    single, = built(image)['predictions']
    mixed = built([image, path, PICTURE[..., ::-1].copy(), grey], out_dir=str(tmp_path / 'out'))
    assert [found['path'] for found in mixed['predictions']] == [None, path, None, None]
    for found in (single, *mixed['predictions'][:3]):
        np.testing.assert_array_equal(found['ids'], by_path['ids'])
        np.testing.assert_array_equal(found['scores'], by_path['scores'])
    written = sorted(file.name for file in (tmp_path / 'out' / 'maps').glob('*.png'))
    assert written == ['00000000.png', '00000002.png', '00000003.png', 'x.png']
    maps = np.array(Image.open(tmp_path / 'out' / 'maps' / '00000003.png'))
    np.testing.assert_array_equal(maps, mixed['predictions'][3]['ids'])


@pytest.mark.parametrize('given, message', [
    (Image.new('F', (4, 5)), "^a PIL image has mode 'F' and 4x5 pixels: expected one with pixels, of mode 1, L, LA, "),
    (Image.new('LAB', (4, 5)), "mode 'LAB'"),
    (Image.new('RGB', (0, 5)), 'and 0x5 pixels'),
    (torch.zeros(4, 5, 3, dtype=torch.uint8), '^an image is given as Tensor: expected a path, a folder, an array or'),
    (b'x', 'given as bytes'),
    (np.zeros((0, 5, 3), np.uint8), r'has shape \(0, 5, 3\)'),
    ([Image.new('RGB', (4, 5)), None], 'given as NoneType'),
])
def test_what_is_not_taken(given, message):
    with pytest.raises(TypeError, match=message):
        list_inputs(given)


def test_a_file_that_is_cut_off_or_closed(tmp_path):
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, 'PNG')
    cut = file.getvalue()[:1500]
    closed = Image.open(io.BytesIO(file.getvalue()))
    closed.close()
    for image in (Image.open(io.BytesIO(cut)), closed):
        with pytest.raises(UnreadableImageError, match='^cannot use the image given as a PIL image: Pillow cannot'):
            of_pil(image)
    (tmp_path / 'cut.png').write_bytes(cut)
    built = inferencer('PiCIE', tmp_path, on_error='skip')
    assert len(built([Image.open(tmp_path / 'cut.png'), Image.fromarray(PICTURE)])['predictions']) == 1
    assert len(built.skipped) == 1 and f'{tmp_path}/cut.png' in built.skipped[0]


def test_one_larger_than_memory_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    cv2.imwrite(str(tmp_path / 'large.png'), np.zeros((2000, 3000, 3), np.uint8))
    monkeypatch.setattr(memory, 'available_memory', lambda: 200 * 2**20)
    monkeypatch.setattr(image_input, 'read_pil_image', lambda image: pytest.fail('decoded'))
    with pytest.raises(MemoryError, match=r'^a PIL image has 3000x2000 pixels \(6 million\), which needs about 0.3'):
        inferencer('PiCIE', tmp_path, on_error='skip')(Image.open(tmp_path / 'large.png'))
