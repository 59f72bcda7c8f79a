import os
import time

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_unsup.datasets import MaskedImageDataset, ViewDataset
from mmseg_unsup.datasets.transforms import LoadMask, PackMaskedViews, TwoMaskedViews
from mmseg_unsup.datasets.transforms.formatting import stack_views
from mmseg_unsup.datasets.transforms.masks import read_mask
from ..conftest import smooth_image, write_images


def circle(height, width, radius=18, value=1):
    mask = np.zeros((height, width), np.uint8)
    cv2.circle(mask, (width // 2, height // 2), radius, value, -1)
    return mask


def write_masks(folder, images, value=255, radius=18):
    """A disc for each image; returns the folder."""
    for path in sorted(images.rglob('*.jpg')):
        target = folder / path.relative_to(images).with_suffix('.png')
        target.parent.mkdir(parents=True, exist_ok=True)
        height, width = cv2.imread(str(path)).shape[:2]
        cv2.imwrite(str(target), circle(height, width, radius, value))
    return folder


@pytest.fixture
def images(tmp_path):
    write_images(tmp_path / 'images', 6)
    return tmp_path / 'images'


def dataset(images, masks, **kwargs):
    return MaskedImageDataset(data_root=str(images), mask_root=str(masks), **kwargs)


def pipeline(**kwargs):
    return [dict(type='mmseg_unsup.LoadImage'), dict(type='mmseg_unsup.LoadMask'),
            dict(type='mmseg_unsup.TwoMaskedViews', **{**dict(size=32), **kwargs}),
            dict(type='mmseg_unsup.PackMaskedViews')]


def test_pairs_by_relative_name(images, tmp_path):
    masks = write_masks(tmp_path / 'masks', images)
    infos = list(dataset(images, masks))
    assert len(infos) == 6
    for info in infos:
        relative = os.path.relpath(info['img_path'], images)
        assert info['mask_path'] == str(masks / relative).replace('.jpg', '.png')
        assert 'seg_map_path' not in info
    assert {os.path.basename(os.path.dirname(info['mask_path'])) for info in infos} == {'masks', 'more'}


def test_a_list(images, tmp_path):
    masks = write_masks(tmp_path / 'masks', images)
    (images / 'few.txt').write_text('000000000003\nmore/000000000000\n')
    infos = list(dataset(images, masks, ann_file='few.txt'))
    assert [os.path.relpath(info['mask_path'], masks) for info in infos] == [
        '000000000003.png', 'more/000000000000.png']
    (images / 'few.txt').write_text('../000000000003\n')
    with pytest.raises(ValueError, match="line 1 of the list .* without '..'"):
        dataset(images, masks, ann_file='few.txt')
    with pytest.raises(FileNotFoundError, match="the list .*none.txt' does not exist: set ann_file"):
        dataset(images, masks, ann_file='none.txt')


def test_images_without_a_usable_mask_are_left_out(images, tmp_path, caplog):
    masks = write_masks(tmp_path / 'masks', images)
    names = sorted(masks.glob('*.png'))
    cv2.imwrite(str(names[0]), np.zeros((80, 96), np.uint8))
    height, width = cv2.imread(str(names[1]), 0).shape
    small = np.zeros((height, width), np.uint8)
    small.ravel()[:int(0.01 * small.size) - 1] = 1
    cv2.imwrite(str(names[1]), small)
    small.ravel()[:int(np.ceil(0.01 * small.size))] = 1
    cv2.imwrite(str(names[2]), small)
    infos = list(dataset(images, masks))
    assert {info['mask_path'] for info in infos} == {str(path) for path in masks.rglob('*.png')} - {
        str(names[0]), str(names[1])}
    assert len(list(dataset(images, masks, min_area=0))) == 5


def test_counts_are_logged(images, tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr('mmseg_unsup.datasets.masked_images.say', lines.append)
    masks = write_masks(tmp_path / 'masks', images)
    cv2.imwrite(str(sorted(masks.glob('*.png'))[0]), np.zeros((80, 96), np.uint8))
    sorted(masks.glob('*.png'))[1].unlink()
    dataset(images, masks, missing='skip')
    missing, left_out = lines
    assert '1 of 6 images have no mask, for example' in missing and missing.endswith('does not exist')
    assert left_out == 'masks: 1 of 5 images are left out, 1 with an empty mask, 0 with less than 1 %'


def test_an_empty_mask_folder_fails_within_a_second(tmp_path):
    """Of computing, on busy machines too. Not after a hang: nothing is drawn again and again."""
    for i in range(100):
        for folder in ('images', 'masks'):
            os.makedirs(tmp_path / folder, exist_ok=True)
            cv2.imwrite(str(tmp_path / folder / f'{i}.png'), np.zeros((375, 500), np.uint8))
    start = time.process_time()
    with pytest.raises(ValueError, match=r'none of the 100 masks below .*masks can be used: 100 are empty \(all 0\) '
                       'and 0 cover less than 1 % of their image. Set mask_root'):
        dataset(tmp_path / 'images', tmp_path / 'masks')
    assert time.process_time() - start < 1


def test_missing_masks(images, tmp_path):
    masks = write_masks(tmp_path / 'masks', images)
    gone = masks / '000000000002.png'
    gone.unlink()
    with pytest.raises(FileNotFoundError, match=f"1 of 6 images have no mask, for example .*2.jpg: {gone} does not "
                       "exist. Set mask_root .* or missing='skip'"):
        dataset(images, masks)
    assert len(list(dataset(images, masks, missing='skip'))) == 5
    with pytest.raises(FileNotFoundError, match="the mask folder '.*nowhere' does not exist: set mask_root"):
        dataset(images, tmp_path / 'nowhere')
    os.makedirs(tmp_path / 'bare')
    with pytest.raises(FileNotFoundError, match='6 of 6 images have no mask'):
        dataset(images, tmp_path / 'bare', missing='skip')


@pytest.mark.parametrize('options, message', [
    (dict(missing='ignore'), "missing='ignore' is not one of"),
    (dict(min_area=1.), r'min_area must lie in \[0, 1\), but it is 1.0'),
])
def test_bad_options(images, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        dataset(images, write_masks(tmp_path / 'masks', images), **options)


def test_two_images_of_one_name(images, tmp_path):
    masks = write_masks(tmp_path / 'masks', images)
    (images / '000000000001.png').write_bytes((images / '000000000001.jpg').read_bytes())
    with pytest.raises(ValueError, match="2 images below .* are named '000000000001' and would share one mask"):
        dataset(images, masks)


def test_all_masks_that_cannot_be_read_are_counted(images, tmp_path):
    masks = write_masks(tmp_path / 'masks', images)
    (masks / '000000000001.png').write_bytes(b'no png')
    (masks / '000000000002.png').write_bytes(b'')
    with pytest.raises(ValueError, match=f'cannot use the mask {masks}/000000000001.png: it is no image .*; 1 more'):
        dataset(images, masks)


def test_channels(tmp_path):
    path, mask = str(tmp_path / 'mask.png'), circle(40, 50, 9, 200)
    for channels in (mask, cv2.merge([mask] * 3), cv2.merge([mask] * 3 + [255 - mask])):
        cv2.imwrite(path, channels)
        np.testing.assert_array_equal(read_mask(path), mask)
    Image.fromarray(mask > 0).save(path)  # one bit a pixel
    np.testing.assert_array_equal(read_mask(path) > 0, mask > 0)
    palette = Image.fromarray((mask > 0).astype(np.uint8), mode='P')
    palette.putpalette([10, 10, 10, 200, 0, 0])  # colours that differ from 0 everywhere
    palette.save(path)
    np.testing.assert_array_equal(read_mask(path), mask > 0)
    cv2.imwrite(path, mask.astype(np.uint16) * 300)
    assert read_mask(path).max() == 60000
    cv2.imwrite(path, cv2.merge([mask, mask, 255 - mask]))
    with pytest.raises(ValueError, match=f'the mask {path} has 3 channels that differ: expected one channel'):
        read_mask(path)


def load(tmp_path, mask, image_shape=None, **options):
    path = str(tmp_path / 'mask.png')
    cv2.imwrite(path, mask)
    results = dict(img_path='image.jpg', mask_path=path, ori_shape=mask.shape[:2],
                   img=np.zeros((image_shape or mask.shape[:2]) + (3, ), np.uint8))
    return LoadMask(**options)(results)['mask']


def test_every_nonzero_value_is_the_object(tmp_path):
    mask = circle(40, 50)
    for values in (mask, mask * 255, mask * np.arange(1, 51, dtype=np.uint8)):
        np.testing.assert_array_equal(load(tmp_path, values), mask)


def test_components_and_regions(tmp_path):
    mask = np.zeros((40, 50), np.uint8)
    mask[2:12, 3:13], mask[20:30, 30:45], mask[0, 49] = 255, 255, 255
    mask[12, 13] = 255  # diagonal neighbours belong together
    expected = np.zeros_like(mask)
    expected[2:12, 3:13], expected[12, 13], expected[20:30, 30:45] = 1, 1, 2
    np.testing.assert_array_equal(load(tmp_path, mask, objects='components'), expected)
    assert load(tmp_path, mask, objects='components', min_area=0).max() == 3
    # regions: each value is an object, in one piece or not
    mask[mask > 0] = 9
    mask[20:30, 40:45], mask[0, 0] = 3, 7
    expected = np.zeros_like(mask)
    expected[mask == 3], expected[mask == 9] = 1, 2
    np.testing.assert_array_equal(load(tmp_path, mask, objects='components'), expected)
    full = np.full((40, 50), 4, np.uint8)
    assert (load(tmp_path, full, objects='components') == 1).all()
    full[:, 25:] = 6  # no background at all
    assert np.unique(load(tmp_path, full, objects='components')).tolist() == [1, 2]
    assert not load(tmp_path, np.zeros((40, 50), np.uint8), objects='components').any()
    assert np.unique(load(tmp_path, full.astype(np.uint16) * 9000, objects='components')).tolist() == [1, 2]


def test_masks_follow_an_image_that_was_decoded_at_a_reduced_scale(tmp_path):
    mask = load(tmp_path, circle(80, 120, 30), (20, 30))
    assert mask.shape == (20, 30) and mask.mean() == pytest.approx(np.pi * 30**2 / 9600, rel=0.05)


def test_masks_that_do_not_fit(tmp_path):
    path = str(tmp_path / 'mask.png')
    cv2.imwrite(path, circle(40, 50))
    results = dict(img_path='image.jpg', mask_path=path, ori_shape=(50, 40))
    message = rf'the mask {path} has size \(50, 40\), but its image image.jpg has \(40, 50\)'
    with pytest.raises(ValueError, match=message):
        LoadMask()(results)
    with pytest.raises(KeyError, match='no mask is known for image.jpg'):
        LoadMask()(dict(img_path='image.jpg'))
    cv2.imwrite(path, np.arange(2000, dtype=np.uint16).reshape(40, 50) // 4)
    with pytest.raises(ValueError, match='has 499 objects, but at most 255 can be told apart: raise min_area'):
        LoadMask('components', 0.)(dict(img_path='image.jpg', mask_path=path, ori_shape=(40, 50)))
    with pytest.raises(ValueError, match="objects='each' is not one of"):
        LoadMask('each')
    with pytest.raises(ValueError, match='min_area must lie in'):
        LoadMask(min_area=-1)


def coordinates(height, width):
    """An image that says where each pixel comes from."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.zeros_like(rows)], -1).astype(np.uint8)


def draw(seed=0, mask=None, **options):
    np.random.seed(seed)
    mask = circle(120, 160, 30) if mask is None else mask
    return TwoMaskedViews(**{**dict(size=24), **options})(dict(img=coordinates(*mask.shape), mask=mask))['views']


@pytest.mark.parametrize('flip_prob', [0., 1.])
def test_image_and_mask_are_cut_at_one_place(flip_prob):
    """At each pixel of a view, the mask is that of the source at the place that the image names."""
    mask = circle(120, 160, 30)
    for seed in range(5):
        views = draw(seed, flip_prob=flip_prob)
        for view in views:
            assert view['img'].shape == (24, 24, 3) and view['mask'].shape == (24, 24)
            rows, columns = view['img'][..., 0].astype(int), view['img'][..., 1].astype(int)
            assert (mask[rows, columns] == view['mask']).mean() > 0.96  # but for the rim
            assert 0.01 < view['mask'].mean() < 0.99
            assert (np.sign(np.diff(columns[0])) == (-1 if flip_prob else 1)).mean() > 0.9
        assert not np.array_equal(views[0]['img'], views[1]['img'])


def test_boxes_have_the_areas_and_ratios_asked_for():
    np.random.seed(0)
    transform = TwoMaskedViews(size=24)
    boxes = np.array([transform._draw_box(300, 400) for _ in range(2000)])
    top, left, height, width = boxes.T
    assert (top >= 0).all() and (left >= 0).all() and (top + height <= 300).all() and (left + width <= 400).all()
    areas, ratios = height * width / 120000, width / height
    assert 0.195 < areas.min() < 0.21 and areas.max() > 0.9 and 0.74 < ratios.min() and ratios.max() < 1.35
    # a draw that does not fit is drawn again, which favours small areas
    area, ratio = np.meshgrid(np.linspace(0.2, 1, 400), np.exp(np.linspace(*np.log([3 / 4, 4 / 3]), 400)))
    fits = (area * 120000 / ratio <= 300**2) & (area * 120000 * ratio <= 400**2)
    expected = np.percentile(area[fits], [25, 50, 75])
    np.testing.assert_allclose(np.percentile(areas, [25, 50, 75]), expected, atol=0.03)
    # the fallback: a frame in which no crop fits
    assert TwoMaskedViews(scale=(1., 1.))._draw_box(10, 90) == (0, 38, 10, 13)
    assert TwoMaskedViews(scale=(1., 1.))._draw_box(90, 10) == (38, 0, 13, 10)


def test_both_views_show_enough_of_the_object():
    mask = np.zeros((120, 160), np.uint8)
    mask[5:25, 5:25] = 1  # in a corner: most crops miss it
    transform = TwoMaskedViews(size=24)
    missed = [not transform._view_mask(mask, transform._draw_box(*mask.shape)).any() for _ in range(40)]
    assert sum(missed) > 10
    views = [view for seed in range(20) for view in draw(seed, mask, max_retries=100, flip_prob=0.)]
    assert min(view['mask'].mean() for view in views) > 0.01
    assert not any(view['img'][-1, -1, 1] > 157 and view['img'][0, 0, 1] < 5 for view in views)  # crops, all of them


def test_the_whole_image_after_all_retries():
    """No crop can pass: it ends, with both views the whole image."""
    mask = np.zeros((120, 160), np.uint8)
    mask[::40, ::40] = 1  # too little everywhere
    for view in draw(mask=mask, flip_prob=0.):
        assert view['mask'].mean() < 0.01
        assert (view['img'][0, 0, :2] < [6, 6]).all() and (view['img'][-1, -1, :2] > [114, 154]).all()


def test_regions_without_background_are_cropped():
    views = [view for seed in range(5) for view in draw(seed, np.full((120, 160), 3, np.uint8), flip_prob=0.)]
    assert all((view['mask'] == 3).all() for view in views)
    assert sum(view['img'][0, 0, 0] > 10 or view['img'][-1, -1, 0] < 110 for view in views) >= 5


@pytest.mark.parametrize('options, message', [
    (dict(scale=(0., 1.)), 'scale must satisfy'), (dict(ratio=(2., 1.)), r'ratio must be \(low, high\)'),
    (dict(flip_prob=2), 'flip_prob must lie'), (dict(area=(0.5, 0.5)), 'area must satisfy'),
    (dict(max_retries=-1), 'max_retries must be at least 0')])
def test_bad_options_of_views(options, message):
    with pytest.raises(ValueError, match=message):
        TwoMaskedViews(**options)


def batch(images, masks, key=(0, 1), **options):
    views = ViewDataset(dataset(images, masks), pipeline(**options))
    views.set_key(*key)
    return stack_views([views[i] for i in range(len(views))])


def test_masks_of_ones_and_of_255_give_identical_batches(images, tmp_path):
    first, second = (batch(images, write_masks(tmp_path / f'masks{value}', images, value)) for value in (1, 255))
    for a, b in zip(first['inputs'], second['inputs']):
        assert torch.equal(a, b)
    for a, b in zip(first['data_samples'], second['data_samples']):
        assert torch.equal(a.view_masks.data, b.view_masks.data) and a.view_masks.data.max() == 1
        assert a.view_masks.data.dtype == torch.uint8


def test_views_depend_on_the_key_only(images, tmp_path):
    masks = write_masks(tmp_path / 'masks', images)
    first, again, other = (batch(images, masks, key=(0, epoch)) for epoch in (1, 1, 2))
    for view in range(2):
        assert torch.equal(first['inputs'][view], again['inputs'][view])
        assert not torch.equal(first['inputs'][view], other['inputs'][view])
    sample = first['data_samples'][0]
    assert sample.view_masks.data.shape == (2, 32, 32) and sample.sample_idx == 0 and 'seg_map_path' not in sample
    assert first['inputs'][0].shape == (6, 3, 32, 32) and first['inputs'][0].dtype == torch.uint8


def test_packing():
    rng = np.random.default_rng(0)
    views = [dict(img=smooth_image(rng, 8, 8), mask=circle(8, 8, 2 + i)) for i in range(2)]
    packed = PackMaskedViews()(dict(views=views, img_path='a', sample_idx=3, replaced=False, ori_shape=(9, 9)))
    for i, view in enumerate(views):
        np.testing.assert_array_equal(packed['inputs'][i].permute(1, 2, 0), view['img'])
        np.testing.assert_array_equal(packed['data_samples'].view_masks.data[i], view['mask'])
    assert packed['data_samples'].sample_idx == 3
