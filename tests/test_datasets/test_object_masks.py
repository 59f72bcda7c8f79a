"""Masks found by the path of an image."""
import os

import cv2
import numpy as np
import pytest

from mmseg_unsup.datasets.errors import LabelError
from mmseg_unsup.datasets.object_masks import ObjectMasks


@pytest.fixture
def folders(tmp_path):
    """One mask of two objects, an empty one, and one of three pixels of 400."""
    mask = np.zeros((20, 20), np.uint8)
    mask[2:6, 3:9], mask[12:18, 10:15] = 255, 255
    small = np.zeros_like(mask)
    small[0, :3] = 1
    (tmp_path / 'masks' / 'a').mkdir(parents=True)
    for name, array in (('a/two', mask), ('empty', 0 * mask), ('small', small)):
        cv2.imwrite(str(tmp_path / 'masks' / f'{name}.png'), array)
    return tmp_path, mask


def test_an_image_has_the_mask_of_its_relative_name(folders, monkeypatch):
    root, mask = folders
    masks = ObjectMasks(str(root / 'images'), str(root / 'masks'))
    found = masks.object_ids(str(root / 'images' / 'a' / 'two.jpg'), mask.shape)
    np.testing.assert_array_equal(found, mask // 255)
    monkeypatch.chdir(root)
    np.testing.assert_array_equal(masks.object_ids(os.path.join('images', 'a', 'two.jpg'), mask.shape), mask // 255)
    separate = ObjectMasks('images', 'masks', objects='components').object_ids('images/a/two.jpg', mask.shape)
    np.testing.assert_array_equal(separate, cv2.connectedComponents(mask)[1])


def test_images_without_a_usable_mask_have_none(folders):
    root, mask = folders
    masks = ObjectMasks(str(root / 'images'), str(root / 'masks'))
    for name in ('images/empty.jpg', 'images/small.jpg', 'images/other.jpg', 'elsewhere/a/two.jpg',
                 'images/../../masks/a/two.jpg'):
        assert masks.object_ids(str(root / name), mask.shape) is None
    assert masks.object_ids(None, mask.shape) is None  # of an array
    assert ObjectMasks(str(root / 'images'), str(root / 'masks'), min_area=0.).object_ids(
        str(root / 'images' / 'small.jpg'), mask.shape).sum() == 3
    gone = ObjectMasks(str(root / 'images'), str(root / 'gone'))  # a checkpoint travels without its masks
    assert gone.object_ids(str(root / 'images' / 'a' / 'two.jpg'), mask.shape) is None


def test_a_mask_of_another_image_is_refused(folders):
    root, _ = folders
    masks = ObjectMasks(str(root / 'images'), str(root / 'masks'))
    with pytest.raises(LabelError, match=r'two.png has size \(20, 20\), but its image .*two.jpg has \(40, 30\)'):
        masks.object_ids(str(root / 'images' / 'a' / 'two.jpg'), (30, 40))
