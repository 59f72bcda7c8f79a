"""mmseg-unsup score-priors refuses what it cannot use before an image is read."""
import numpy as np
import pytest

from mmseg_unsup.analysis.score_priors import configs_of, score_image
from mmseg_unsup.priors import Prior


def test_weights_that_are_not_there():
    with pytest.raises(FileNotFoundError, match="^there is no file of weights 'nowhere.pth': correct --weights$"):
        configs_of(['rbd', 'spectral'], ['nowhere.pth'], [])


@pytest.mark.parametrize('names, weights, styles', [
    (['spectral'], [], []), (['ncut'], [], []), (['rbd'], ['a.pth'], []),
    (['spectral'], ['a.pth'], ['caffe', 'caffe'])])
def test_features_need_weights_and_weights_need_features(names, weights, styles):
    with pytest.raises(ValueError, match='priors that see features need --weights, and one of --styles for each or n'):
        configs_of(names, weights, styles)


class Halves(Prior):
    """The left half and the right one, or the right one alone."""

    def __init__(self, tells_ground):
        super().__init__(threshold=0.5)
        self.tells_ground = tells_ground

    def saliency(self, image, stem=None):
        right = np.arange(image.shape[1]) >= image.shape[1] / 2
        return np.broadcast_to(right, image.shape[:2]).astype(np.float32)

    def __call__(self, image, stem=None):
        return (self.saliency(image) + 1).astype(np.uint8)


def test_the_best_region_counts_only_where_all_are_objects():
    image, label = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), bool)
    label[:, :4] = True
    assert score_image(Halves(True), image, 'a', label)['iou'] == 0
    best = score_image(Halves(False), image, 'a', label)
    assert best['iou'] == 1 and best['mae'] is None
