import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from PIL import Image

from mmseg_unsup.datasets.errors import LabelError, UnreadableImageError
from mmseg_unsup.datasets.transforms import (CenterSquareCrop, ColorJitter, GaussianBlur, LoadImage, LoadLabels,
                                             PairedCropFlip, RandomGrayscale, ResizeForEvaluation, loading)
from mmseg_unsup.datasets.transforms.photometric import (adjust_brightness, adjust_contrast, adjust_saturation,
                                                         shift_hue)
from mmseg_unsup.datasets.transforms.geometric import center_square, resize_image
from mmseg_unsup.presets import changed_view_pipeline
from mmseg_unsup.registry import TRANSFORMS
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


def write_jpeg(path, height, width, orientation=None):
    """A smooth JPEG of good quality, stored as (height, width) and marked to be turned by its EXIF header."""
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    img = smooth_image(np.random.default_rng(0), height, width)
    Image.fromarray(img[..., ::-1]).save(path, quality=98, exif=exif)
    return path


def load_all(path, **kwargs):
    return LoadImage(**kwargs)(dict(img_path=str(path)))


@pytest.mark.parametrize('orientation', [None, 1, 3, 5, 6, 8])
@pytest.mark.parametrize('reduce_to, scale', [(101, 1), (100, 2), (51, 2), (50, 4), (25, 8), (1, 8)])
def test_reduced_decode_is_the_full_one_averaged(tmp_path, orientation, reduce_to, scale):
    path = write_jpeg(tmp_path / 'a.jpg', 200, 304, orientation)
    full, reduced = load_all(path), load_all(path, reduce_to=reduce_to)
    height, width = (304, 200) if orientation in (5, 6, 8) else (200, 304)
    assert full['img'].shape[:2] == full['ori_shape'] == reduced['ori_shape'] == (height, width)
    assert reduced['img'].shape[:2] == reduced['img_shape'] == (height // scale, width // scale)
    averaged = cv2.resize(full['img'], (width // scale, height // scale), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(reduced['img'], averaged, atol=3)


@pytest.mark.parametrize('orientation', [None, 6])
def test_reduced_decode_of_odd_sizes(tmp_path, orientation):
    """A side that the scale does not divide is rounded up; whether the scale may be used is judged rounded down."""
    turn = slice(None, None, -1 if orientation == 6 else 1)
    path = write_jpeg(tmp_path / 'a.jpg', 203, 1001, orientation)
    for reduce_to, shape in [(102, (203, 1001)), (101, (102, 501)), (50, (51, 251)), (25, (26, 126))]:
        out = load_all(path, reduce_to=reduce_to)
        assert out['img'].shape[:2] == out['img_shape'] == shape[turn]
        assert out['ori_shape'] == (203, 1001)[turn]
    # almost square: the decoded shape is (51, 51) either way, and the header alone tells the two sides apart
    for height, width in [(201, 202), (202, 201), (203, 204)]:
        out = load_all(write_jpeg(tmp_path / 'a.jpg', height, width, orientation), reduce_to=50)
        assert out['img_shape'] == (51, 51)
        assert out['ori_shape'] == (height, width)[turn]


def test_reduced_decode_leaves_other_files_as_they_are(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), PICTURE)
    np.testing.assert_array_equal(load(tmp_path / 'a.png', reduce_to=10), PICTURE)
    gray = cv2.imencode('.jpg', cv2.cvtColor(PICTURE, cv2.COLOR_BGR2GRAY))[1].tobytes()
    (tmp_path / 'gray.jpg').write_bytes(gray)
    assert load(tmp_path / 'gray.jpg', reduce_to=30).shape == (30, 40, 3)
    Image.fromarray(PICTURE).convert('CMYK').save(tmp_path / 'cmyk.jpg')
    assert load(tmp_path / 'cmyk.jpg', reduce_to=30).shape == (30, 40, 3)
    with pytest.raises(ValueError, match='reduce_to must be at least 1, but it is 0'):
        LoadImage(reduce_to=0)


def test_reduced_decode_survives_a_broken_exif_header(tmp_path, monkeypatch):
    content = bytearray(write_jpeg(tmp_path / 'a.jpg', 200, 304, 6).read_bytes())
    start = content.index(b'Exif') + 6
    content[start:start + 12] = b'\xff' * 12
    (tmp_path / 'broken.jpg').write_bytes(content)
    full, reduced = load_all(tmp_path / 'broken.jpg'), load_all(tmp_path / 'broken.jpg', reduce_to=50)
    assert full['ori_shape'] == reduced['ori_shape']
    # a header that says otherwise than the decoder is not believed
    monkeypatch.setattr(loading, '_jpeg_shape', lambda content: (200, 304))
    assert load_all(tmp_path / 'a.jpg', reduce_to=50)['img_shape'] == (304, 200)


def test_min_size_is_that_of_the_file(tmp_path):
    path = write_jpeg(tmp_path / 'a.jpg', 64, 80)
    assert load(path, min_size=64, reduce_to=8).shape == (8, 10, 3)
    with pytest.raises(UnreadableImageError, match='it has 80x64 pixels, .* at least 65'):
        load(path, min_size=65, reduce_to=8)


def test_labels_go_with_a_reduced_image(tmp_path):
    """Full-size labels belong to a reduced image, and a centre crop shows both at the same place."""
    table = np.arange(256, dtype=np.uint8)
    rng = np.random.default_rng(0)
    for height, width in rng.integers(160, 320, (20, 2)):
        # each pixel holds its place: rows in blue, columns in the labels and in green
        rows, cols = np.mgrid[:height, :width] * 250 // max(height, width)
        img = np.stack([rows, cols, cols], -1).astype(np.uint8)
        cv2.imwrite(str(tmp_path / 'a.jpg'), img, [cv2.IMWRITE_JPEG_QUALITY, 100])
        cv2.imwrite(str(tmp_path / 'a.png'), cols.astype(np.uint8))
        results = dict(img_path=str(tmp_path / 'a.jpg'), seg_map_path=str(tmp_path / 'a.png'), label_table=table)
        results = LoadLabels()(LoadImage(reduce_to=40)(results))
        assert results['gt_seg_map'].shape == (height, width) and min(results['img_shape']) < 80
        crop = ResizeForEvaluation(40)(results)
        error = crop['img'][..., 1].astype(int) - crop['gt_seg_map']
        # one decoded pixel, and the grey levels that JPEG and rounding cost
        assert np.abs(error)[2:-2, 2:-2].max() <= 250 / max(height, width) * 4 + 4

    results = dict(img_path=str(tmp_path / 'a.jpg'), seg_map_path=str(tmp_path / 'a.png'), label_table=table)
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((height // 4, width // 4), np.uint8))
    with pytest.raises(LabelError, match=rf'but its image .* has \({width}, {height}\)'):
        LoadLabels()(LoadImage(reduce_to=40)(results))


@pytest.mark.parametrize('reduce_to', [None, 8])
def test_unusable_files(tmp_path, reduce_to):
    good = cv2.imencode('.jpg', PICTURE)[1].tobytes()
    png = cv2.imencode('.png', PICTURE)[1].tobytes()
    cases = dict(
        zero=(b'', r'it is empty \(0 bytes\)'),
        text=(b'hello', 'no image that can be decoded'),
        cut=(good[:len(good) // 2], 'it is cut off'),
        cutpng=(png[:len(png) // 2], 'it is cut off'),
        header=(b'\xff\xd8\xff\xe0' + bytes(40) + b'\xff\xd9', 'no image that can be decoded'),
        tiny=(cv2.imencode('.png', PICTURE[:1, :1])[1].tobytes(), 'it has 1x1 pixels, and the shorter side'),
        tinyjpg=(cv2.imencode('.jpg', PICTURE[:9, :9])[1].tobytes(), 'it has 9x9 pixels, and the shorter side'))
    for name, (content, reason) in cases.items():
        path = tmp_path / f'{name}.jpg'
        path.write_bytes(content)
        with pytest.raises(UnreadableImageError, match=f'cannot use the image {path}: .*{reason}.*on_error'):
            load(path, reduce_to=reduce_to)
    with pytest.raises(UnreadableImageError, match='cannot be opened'):
        load(tmp_path / 'absent.jpg', reduce_to=reduce_to)


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
    squash = ResizeForEvaluation(30, 'squash')(results())
    np.testing.assert_array_equal(squash['img'], cv2.resize(PICTURE, (30, 30), interpolation=cv2.INTER_AREA))
    assert squash['ori_shape'] == (60, 80) and squash['gt_seg_map'] is labels
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
    with pytest.raises(ValueError, match=r'scale must be \(low, high\)'):
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


@pytest.mark.parametrize('ours, theirs', [
    (adjust_brightness, mmcv.adjust_brightness),
    (adjust_contrast, mmcv.adjust_contrast),
    (adjust_saturation, mmcv.adjust_color),
])
def test_photometric_operations_match_mmcv(ours, theirs):
    """Within one grey level over the whole range of factors, mirrored images and saturated values included."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (61, 67, 3)).astype(np.uint8)
    for factor in (0., 0.7, 1., 1.3, 2., *rng.uniform(0, 2, 20)):
        for img in (PICTURE, PICTURE[:, ::-1], noise, np.zeros_like(noise), np.full_like(noise, 255)):
            before = img.copy()
            out = ours(img, factor)
            assert out.dtype == np.uint8 and out.shape == img.shape
            np.testing.assert_allclose(out.astype(int), theirs(img, factor).astype(int), atol=1)
            np.testing.assert_array_equal(img, before)  # the views share one image


def test_saturation_keeps_grey():
    gray = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    for factor in (0., 0.71, 1.29, 2.):
        np.testing.assert_array_equal(adjust_saturation(gray, factor), gray)


def test_jitter_draws_are_independent_of_what_is_applied():
    """Two numbers for each operation in a fixed order, so that a seed keeps its meaning."""
    for prob in (0, 1):
        np.random.seed(0)
        ColorJitter(prob=prob)(dict(img=PICTURE))
        after = np.random.rand()
        np.random.seed(0)
        assert after == np.random.rand(9)[-1]


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


def test_a_change_of_some_views():
    """Those of PriMaPs-EM: the whole frame stays as it is."""
    steps = [TRANSFORMS.build(step) for step in changed_view_pipeline(32) if step['type'] != 'mmseg_unsup.LoadImage']
    np.random.seed(0)
    first, second = Compose(steps)(dict(img=PICTURE))['inputs']
    np.testing.assert_array_equal(second.permute(1, 2, 0), resize_image(center_square(PICTURE), (32, 32)))
    assert not torch.equal(first, second) and not torch.equal(first, second.flip(2))
