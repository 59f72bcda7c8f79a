import cv2
import numpy as np
import pytest
from PIL import Image

from mmseg_unsup.datasets.errors import UnreadableImageError
from mmseg_unsup.datasets.transforms import (CenterSquareCrop, ColorJitter, GaussianBlur, LoadImage, PairedCropFlip,
                                             RandomGrayscale, ResizeForEvaluation)
from mmseg_unsup.datasets.transforms.photometric import shift_hue
from ..conftest import smooth_image

PICTURE = smooth_image(np.random.default_rng(0), 60, 80)


def load(path, **kwargs):
    return LoadImage(**kwargs)(dict(img_path=str(path)))['img']


def test_odd_but_valid_files_are_converted(tmp_path):
    gray = cv2.cvtColor(PICTURE, cv2.COLOR_BGR2GRAY)
    cv2.imwrite(str(tmp_path / 'gray.png'), gray)
    np.testing.assert_array_equal(load(tmp_path / 'gray.png'), np.repeat(gray[..., None], 3, 2))
    cv2.imwrite(str(tmp_path / 'deep.png'), PICTURE.astype(np.uint16) * 257)
    np.testing.assert_allclose(load(tmp_path / 'deep.png'), PICTURE, atol=1)
    rgb = Image.fromarray(PICTURE[..., ::-1])
    rgb.convert('CMYK').save(tmp_path / 'cmyk.jpg', quality=100)
    assert np.abs(load(tmp_path / 'cmyk.jpg').astype(int) - PICTURE).mean() < 6
    rgb.convert('P', palette=Image.ADAPTIVE).save(tmp_path / 'palette.png')
    assert np.abs(load(tmp_path / 'palette.png').astype(int) - PICTURE).mean() < 12


def test_unusable_files(tmp_path):
    good = cv2.imencode('.jpg', PICTURE)[1].tobytes()
    png = cv2.imencode('.png', PICTURE)[1].tobytes()
    cases = dict(
        zero=(b'', r'it is empty \(0 bytes\)'),
        text=(b'hello', 'no image that can be decoded'),
        cut=(good[:len(good) // 2], 'it is cut off'),
        cutpng=(png[:len(png) // 2], 'it is cut off'),
        tiny=(cv2.imencode('.png', PICTURE[:1, :1])[1].tobytes(), 'it has 1x1 pixels, and the shorter side'))
    for name, (content, reason) in cases.items():
        path = tmp_path / f'{name}.jpg'
        path.write_bytes(content)
        with pytest.raises(UnreadableImageError, match=f'cannot use the image {path}: .*{reason}.*on_error'):
            load(path)
    with pytest.raises(UnreadableImageError, match='cannot be opened'):
        load(tmp_path / 'absent.jpg')


def test_center_square():
    out = CenterSquareCrop()(dict(img=PICTURE))['img']
    np.testing.assert_array_equal(out, PICTURE[:, 10:70])
    assert CenterSquareCrop(size=24)(dict(img=PICTURE))['img'].shape == (24, 24, 3)


def test_evaluation_protocols():
    labels = np.arange(80, dtype=np.uint8)[None].repeat(60, 0)

    def results():
        return dict(img=PICTURE, gt_seg_map=labels, seg_fields=['gt_seg_map'], ori_shape=(60, 80))

    crop = ResizeForEvaluation(30)(results())
    assert crop['img'].shape == (30, 30, 3) and crop['ori_shape'] == (30, 30)
    # nearest pixel centre: column j of 30 looks at (j + 0.5) * 2 of the square that starts at column 10
    np.testing.assert_array_equal(crop['gt_seg_map'][0], 10 + np.floor((np.arange(30) + 0.5) * 2))
    full = ResizeForEvaluation(30, 'full_resolution')(results())
    assert full['img'].shape == (30, 40, 3) and full['ori_shape'] == (60, 80)
    np.testing.assert_array_equal(full['gt_seg_map'], labels)
    with pytest.raises(ValueError, match="protocol='crop'"):
        ResizeForEvaluation(30, 'crop')


def test_crop_box_is_what_was_cut():
    np.random.seed(0)
    frame = PICTURE[:, :60]
    for _ in range(20):
        out = PairedCropFlip(size=20)(dict(views=[dict(img=frame), dict(img=frame)]))
        left, top, right, bottom = (round(x * 60) for x in out['crop_box'])
        assert 30 <= right - left == bottom - top <= 60
        cut = cv2.resize(frame[top:bottom, left:right], (20, 20), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(out['views'][0]['img'], cut[:, ::-1] if out['flip'] else cut)


def test_geometry_needs_a_square():
    with pytest.raises(ValueError, match='square frame, but got 80x60'):
        PairedCropFlip(size=20)(dict(views=[dict(img=PICTURE)]))
    with pytest.raises(ValueError, match='scale must satisfy'):
        PairedCropFlip(size=20, scale=(0.9, 0.5))


def test_jitter_strength_and_rate():
    """Brightness alone: the factor is uniform in [0.7, 1.3] and drawn for 80 % of the images."""
    np.random.seed(0)
    img = np.full((4, 4, 3), 100, np.uint8)
    jitter = ColorJitter(brightness=0.3, contrast=0, saturation=0, hue=0, prob=0.8)
    values = np.array([jitter(dict(img=img))['img'][0, 0, 0] for _ in range(2000)], float)
    assert 70 <= values.min() < 73 and 127 < values.max() <= 130
    assert (values != 100).mean() == pytest.approx(0.8, abs=0.03)
    assert values.std() == pytest.approx(60 / 12**0.5 * 0.8**0.5, rel=0.05)


def test_hue_turns_the_circle():
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 2] = 200
    np.testing.assert_allclose(shift_hue(red, 1 / 3)[0, 0], [0, 200, 0], atol=6)  # green
    np.testing.assert_allclose(shift_hue(red, -1 / 3)[0, 0], [200, 0, 0], atol=6)  # blue
    assert np.abs(shift_hue(PICTURE, 0.).astype(int) - PICTURE).mean() < 1.5


def test_grayscale_and_blur():
    out = RandomGrayscale(prob=1)(dict(img=PICTURE))['img']
    assert (out[..., 0] == out[..., 1]).all() and out.shape == PICTURE.shape
    assert RandomGrayscale(prob=0)(dict(img=PICTURE))['img'] is PICTURE
    np.random.seed(0)
    fixed = GaussianBlur(sigma=(-1.5, -1.5), prob=1)(dict(img=PICTURE))['img']
    np.testing.assert_array_equal(fixed, cv2.GaussianBlur(PICTURE, (0, 0), 1.5))


@pytest.mark.parametrize('make, message', [
    (lambda: ColorJitter(hue=0.7), r'hue must lie in \[0, 0.5\]'),
    (lambda: RandomGrayscale(prob=2), r'prob must lie in \[0, 1\]'),
    (lambda: GaussianBlur(sigma=(2, 1)), 'sigma must be'),
])
def test_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()
