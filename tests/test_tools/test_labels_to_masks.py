"""mmseg-unsup labels-to-masks on label maps that are written here."""
import cv2
import numpy as np

from ..conftest import run_tool


def test_values_become_objects(tmp_path):
    labels = np.random.default_rng(0).integers(0, 6, (20, 30)).astype(np.uint8)
    labels[0] = 255
    (tmp_path / 'labels' / 'a').mkdir(parents=True)
    cv2.imwrite(str(tmp_path / 'labels' / 'a' / 'x.png'), labels)
    cv2.imwrite(str(tmp_path / 'labels' / 'y.png'), np.zeros_like(labels))
    out = run_tool('dataset_converters/labels_to_masks.py', tmp_path / 'labels', tmp_path / 'masks', '--objects', 2, 5,
                   fresh=True)
    assert 'wrote 2 masks' in out.stdout and '1 with an object' in out.stdout
    mask = cv2.imread(str(tmp_path / 'masks' / 'a' / 'x.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask, np.where((labels == 2) | (labels == 5), 255, 0))
    assert not cv2.imread(str(tmp_path / 'masks' / 'y.png'), cv2.IMREAD_UNCHANGED).any()
