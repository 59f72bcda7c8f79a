"""Masks that exist as files."""
import cv2
import numpy as np
import pytest
from PIL import Image

from mmseg_unsup.priors import FolderPrior

IMAGE = np.zeros((6, 8, 3), np.uint8)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'masks' / 'more').mkdir(parents=True)
    return tmp_path / 'masks'


def square(value=255):
    mask = np.zeros((6, 8), np.uint8)
    mask[1:4, 2:5] = value
    return mask


def write(folder, mask, name='more/a.png'):
    cv2.imwrite(str(folder / name), mask)


@pytest.mark.parametrize('mask', [square(1), square(255), np.repeat(square()[..., None], 3, 2)])
def test_0_1_and_0_255_mean_the_same(folder, mask):
    write(folder, mask)
    prior = FolderPrior(str(folder))
    np.testing.assert_array_equal(prior(IMAGE, 'more/a'), square())
    np.testing.assert_array_equal(prior.saliency(IMAGE, 'more/a'), square() > 0)


def test_other_kinds_of_files(folder):
    write(folder, square(), 'b.bmp')
    Image.fromarray(square() > 0).save(folder / 'c.png')  # one bit
    palette = Image.fromarray(square(1))
    palette.putpalette([0, 0, 0, 128, 0, 0])
    palette.save(folder / 'd.png')
    for stem in 'bcd':
        np.testing.assert_array_equal(FolderPrior(str(folder))(IMAGE, stem), square())


def test_no_object_is_no_error(folder):
    write(folder, square(0))
    assert not FolderPrior(str(folder))(IMAGE, 'more/a').any()


def test_grey_maps_need_a_threshold(folder):
    grey = square(200)
    grey[5, :4] = 100
    write(folder, grey)
    with pytest.raises(ValueError, match=r'a.png holds the values \[0, 100, 200\].*set threshold'):
        FolderPrior(str(folder))(IMAGE, 'more/a')
    np.testing.assert_array_equal(FolderPrior(str(folder), threshold=0.5)(IMAGE, 'more/a') > 0, grey == 200)
    np.testing.assert_array_equal(FolderPrior(str(folder), threshold=0.3)(IMAGE, 'more/a') > 0, grey > 0)
    # 4 of 48 pixels are small
    np.testing.assert_array_equal(FolderPrior(str(folder), 0.3, min_area=0.1)(IMAGE, 'more/a') > 0, grey == 200)


@pytest.mark.parametrize('mask, message', [
    (square()[:5], r'a.png has 8x5 pixels, but its image has 8x6'),
    (np.dstack([square(), square(), square(0)]), 'a.png has 3 channels that differ'),
    (np.full((6, 8), 255, np.uint8), r'a.png is 255 everywhere: it needs background \(0\) beside the object'),
    (np.ones((6, 8), np.uint8), 'a.png is 1 everywhere'),
    (square(7), r'a.png holds the values \[0, 7\]'),
    (square().astype(np.uint16), 'a.png holds uint16: expected 8 bits'),
])
def test_faults_name_the_file(folder, mask, message):
    write(folder, mask)
    with pytest.raises(ValueError, match=message):
        FolderPrior(str(folder))(IMAGE, 'more/a')


def test_missing_and_doubled_files(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="folder of masks '.*none' does not exist: set root"):
        FolderPrior(str(tmp_path / 'none'))
    prior = FolderPrior(str(folder))
    with pytest.raises(FileNotFoundError, match="the image 'more/a' has no mask .*masks/more/a.png"):
        prior(IMAGE, 'more/a')
    write(folder, square())
    write(folder, square(), 'more/a.bmp')
    with pytest.raises(ValueError, match='several masks, .*a.png and .*a.bmp: keep one'):
        prior(IMAGE, 'more/a')
    with pytest.raises(ValueError, match='needs the stem of the image'):
        prior(IMAGE)
    (folder / 'broken.png').write_bytes(b'no image')
    with pytest.raises(ValueError, match='cannot use the mask .*broken.png: it is no image'):
        prior(IMAGE, 'broken')


def test_the_record_says_which_labels_the_masks_have_seen(folder):
    assert FolderPrior(str(folder)).describe()['labels'] == 'unknown'
    record = FolderPrior(str(folder), mask_labels='DUTS labels').describe()
    assert record['labels'] == 'DUTS labels' and record['parameters']['root'] == str(folder)
