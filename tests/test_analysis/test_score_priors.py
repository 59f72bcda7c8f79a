"""mmseg-unsup score-priors refuses what it cannot use before an image is read."""
import pytest

from mmseg_unsup.analysis.score_priors import configs_of


def test_weights_that_are_not_there():
    with pytest.raises(FileNotFoundError, match="^there is no file of weights 'nowhere.pth': correct --weights$"):
        configs_of(['rbd', 'spectral'], ['nowhere.pth'], [])


@pytest.mark.parametrize('names, weights, styles', [
    (['spectral'], [], []), (['rbd'], ['a.pth'], []), (['spectral'], ['a.pth'], ['caffe', 'caffe'])])
def test_spectral_needs_weights_and_weights_need_spectral(names, weights, styles):
    with pytest.raises(ValueError, match='--priors spectral needs --weights, and one of --styles for each or none'):
        configs_of(names, weights, styles)
