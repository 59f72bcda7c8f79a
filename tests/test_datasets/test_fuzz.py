"""The pipeline with whatever options and images there may be: views that are some, or a sentence that says why not."""
import tempfile

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from mmseg_unsup.datasets.errors import LabelError
from mmseg_unsup.datasets.labelled_dataset import table_from_values
from mmseg_unsup.datasets.transforms import (CenterSquareCrop, ColorJitter, ForEachView, GaussianBlur, LoadImage,
                                             LoadLabels, LoadMask, MakeViews, PackMaskedViews, PackViews,
                                             PairedCropFlip, RandomGrayscale, ResizeForEvaluation, TwoMaskedViews)

NUMBERS = st.integers(-2, 40) | st.floats() | st.sampled_from([0., 0.1, 0.5, 1., 1e-300, 1e300])
PAIRS = st.tuples(NUMBERS, NUMBERS)
ANYTHING = NUMBERS | PAIRS | st.none() | st.booleans() | st.text(max_size=3) | st.lists(NUMBERS, max_size=3)
SIDES = st.integers(1, 40)
# transform -> its options; those with a default of None are apart
OPTIONS = {
    LoadImage: ['min_size'],
    ResizeForEvaluation: ['size', 'protocol'],
    PairedCropFlip: ['size', 'scale', 'flip_prob'],
    MakeViews: ['num_views'],
    ColorJitter: ['brightness', 'contrast', 'saturation', 'hue', 'prob'],
    RandomGrayscale: ['prob'],
    GaussianBlur: ['sigma', 'prob'],
    LoadMask: ['objects', 'min_area'],
    TwoMaskedViews: ['size', 'scale', 'ratio', 'flip_prob', 'area', 'max_retries'],
}
ALL = [(transform, name) for transform, names in OPTIONS.items() for name in names]


def inputs(rng: np.random.Generator, height: int, width: int) -> dict:
    """What any of the transforms may need."""
    img = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    square = img[:min(height, width), :min(height, width)]
    return dict(img=img, img_shape=img.shape[:2], ori_shape=img.shape[:2], views=[dict(img=square), dict(img=square)],
                gt_seg_map=img[..., 0], seg_fields=['gt_seg_map'], mask=img[..., 1] // 200, img_path='x')


@given(st.sampled_from(ALL), ANYTHING, SIDES, SIDES, st.integers(0, 2**20))
@settings(max_examples=600)
def test_an_option_is_refused_by_its_name_or_works(option, value, height, width, seed):
    transform, name = option
    needed = dict(size=8) if 'size' in OPTIONS[transform] else {}
    try:
        built = transform(**{**needed, name: value})
    except ValueError as error:
        assert name in str(error) and repr(value) in str(error)
        return
    if transform not in (LoadImage, LoadMask):  # read files; below
        np.random.seed(seed)
        built.transform(inputs(np.random.default_rng(seed), height, width))


@given(SIDES, SIDES, st.integers(1, 24), st.sampled_from([(0.01, 0.02), (0.5, 1.), (1., 1.)]), st.integers(1, 4),
       st.sampled_from([0., 0.5, 1.]), st.integers(0, 2**20))
def test_views_of_any_image(height, width, size, scale, num_views, prob, seed):
    """Every view is a square of the size asked for; the crop lies inside the frame and is one."""
    np.random.seed(seed)
    results = inputs(np.random.default_rng(seed), height, width)
    photometric = ForEachView([dict(type='mmseg_unsup.ColorJitter', prob=prob),
                               dict(type='mmseg_unsup.RandomGrayscale', prob=prob),
                               dict(type='mmseg_unsup.GaussianBlur', prob=prob, sigma=(-3., 3.))])
    for transform in (CenterSquareCrop(), MakeViews(num_views), PairedCropFlip(size, scale), photometric):
        results = transform(results)
    x1, y1, x2, y2 = results['crop_box']
    assert 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1 and x2 - x1 == pytest.approx(y2 - y1)
    packed = PackViews()(dict(results, gt_seg_map=results['gt_seg_map'][:size]))
    assert len(packed['inputs']) == num_views
    assert all(view.shape == (3, size, size) and str(view.dtype) == 'torch.uint8' for view in packed['inputs'])


@given(SIDES, SIDES, st.integers(1, 24), st.sampled_from([(1e-9, 1e-9), (0.2, 1.), (1., 1.)]),
       st.sampled_from([(3 / 4, 4 / 3), (1e-3, 1e-3), (100., 1000.)]), st.sampled_from([(0., 1.), (0.01, 0.99)]),
       st.integers(0, 2), st.integers(0, 3), st.integers(0, 2**20))
def test_masked_views_of_any_image(height, width, size, scale, ratio, area, retries, n_objects, seed):
    """A view shows no object that its image does not have."""
    np.random.seed(seed)
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, n_objects + 1, (height, width)).astype(np.uint8)
    results = dict(inputs(rng, height, width), mask=mask)
    transform = TwoMaskedViews(size, scale, ratio, 0.5, area, retries)
    views = transform(results)['views']
    assert len(views) == 2
    for view in views:
        assert view['img'].shape == (size, size, 3) and view['mask'].shape == (size, size)
        assert view['mask'].dtype == np.uint8 and set(np.unique(view['mask'])) <= set(np.unique(mask))
    packed = PackMaskedViews()({key: value for key, value in results.items() if key != 'gt_seg_map'})
    assert packed['data_samples'].view_masks.data.shape == (2, size, size)


@given(SIDES, SIDES, st.integers(1, 50), st.sampled_from(ResizeForEvaluation.PROTOCOLS), st.integers(0, 2**20))
def test_evaluation_of_any_image(height, width, size, protocol, seed):
    """No label comes up that was not there; scores are taken at the size of the labels."""
    results = inputs(np.random.default_rng(seed), height, width)
    before = set(np.unique(results['gt_seg_map']))
    out = ResizeForEvaluation(size, protocol)(results)
    assert set(np.unique(out['gt_seg_map'])) <= before
    assert out['gt_seg_map'].shape == tuple(out['ori_shape'])
    assert min(out['img'].shape[:2]) == size and out['img'].shape[:2] == tuple(out['img_shape'])
    if protocol != 'full_resolution':
        assert out['img'].shape == (size, size, 3)


@given(SIDES, SIDES, st.sampled_from(['uint8', 'uint16']), st.sampled_from([1, 2, 3, 9, 1000]),
       st.sampled_from([0., 0.01, 0.3, 0.99]), st.sampled_from(['image', 'components']), st.integers(0, 2**20))
def test_masks_of_any_values(height, width, dtype, n_values, min_area, objects, seed):
    """Equal to the components of scipy; ids run from 1 on without a gap."""
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, n_values, (height, width)).astype(dtype)
    values = sorted({*mask.ravel().tolist()} - {0})
    if objects == 'image':
        regions = [mask != 0]
    elif len(values) == 1:
        ids, count = ndimage.label(mask, structure=np.ones((3, 3)))
        regions = [ids == i for i in range(1, count + 1)]
    else:
        regions = [mask == value for value in values]
    expected = [region for region in regions if region.any() and (
        objects == 'image' or region.sum() >= min_area * mask.size)]
    with tempfile.TemporaryDirectory() as folder:
        cv2.imwrite(f'{folder}/mask.png', mask)
        results = dict(inputs(rng, height, width), mask_path=f'{folder}/mask.png')
        transform = LoadMask(objects, min_area)
        if len(expected) > 255:
            with pytest.raises(LabelError, match=f'has {len(expected)} objects, but at most 255'):
                transform(results)
            return
        found = transform(results)['mask']
    assert found.dtype == np.uint8 and found.shape == mask.shape
    assert set(np.unique(found)) - {0} == set(range(1, len(expected) + 1))
    assert {region.tobytes() for region in expected} == {(found == i).tobytes() for i in range(1, len(expected) + 1)}


@given(SIDES, SIDES, st.integers(1, 254), st.integers(1, 254), st.sampled_from(['uint8', 'uint16']),
       st.integers(-1, 1), st.integers(0, 2**20))
def test_labels_of_any_values(height, width, n_classes, n_values, dtype, larger, seed):
    """A class, void, or an error that says which value, size or type it was."""
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, n_values, (max(1, height + larger), width)).astype(dtype)
    raw[rng.random(raw.shape) < 0.1] = 255
    with tempfile.TemporaryDirectory() as folder:
        cv2.imwrite(f'{folder}/labels.png', raw)
        results = dict(inputs(rng, height, width), seg_map_path=f'{folder}/labels.png', seg_fields=[],
                       label_table=table_from_values(range(n_classes), 255))
        wrong = sorted({*raw.ravel().tolist()} - {*range(n_classes), 255})
        fault = None
        if dtype == 'uint16':
            fault = 'type uint16'
        elif raw.shape != (height, width):
            fault = f'has size {raw.shape[::-1]}'
        elif wrong:
            fault = f'holds the value(s) {wrong}'
        if fault:
            with pytest.raises(LabelError) as error:
                LoadLabels()(results)
            assert fault in str(error.value)
            return
        np.testing.assert_array_equal(LoadLabels()(results)['gt_seg_map'], raw)


@given(st.binary(max_size=200),
       st.sampled_from([b'', b'\xff\xd8', b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff\xff\xe1', b'BM']),
       st.none() | st.integers(1, 40), st.integers(0, 2**20))
@settings(max_examples=300)
def test_bytes_of_any_kind(content, start, reduce_to, seed):
    """A picture of the right kind, or a refusal that names the file; whole files are cut and changed too."""
    rng = np.random.default_rng(seed)
    img = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    whole = cv2.imencode('.jpg' if seed % 2 else '.png', img)[1].tobytes()
    place = seed % len(whole)
    damaged = whole[:place] + content[:3] + whole[place + (seed % 7):]
    for candidate in (start + content, damaged, whole[:place]):
        with tempfile.NamedTemporaryFile(suffix='.jpg') as file:
            file.write(candidate)
            file.flush()
            try:
                results = LoadImage(reduce_to=reduce_to).transform(dict(img_path=file.name))
            except ValueError as error:
                assert str(error).startswith(f'cannot use the image {file.name}: ')
            else:
                assert results['img'].dtype == np.uint8 and results['img'].shape[2] == 3
                assert min(results['ori_shape']) >= 16
