"""Constants of STEGO from histograms of correlations, against NumPy on the correlations themselves."""
import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from mmseg_unsup.models.losses.correspondence_terms import Histogram, terms_of
from .test_stego import model
from ..test_engine.resuming import resumable_config

K = 11


def drawn() -> dict:
    """Correlations of the kinds of pairs: skewed ones of an image, fewer large ones of others."""
    rng = np.random.default_rng(0)
    return dict(intra=rng.beta(2, 3, 4000) - 0.1, inter=rng.beta(2, 4, 5000) - 0.1, negative=rng.beta(2, 6, 6000) - 0.2)


def histograms(values: dict) -> dict:
    found = {kind: Histogram() for kind in values}
    for kind, histogram in found.items():
        for part in torch.from_numpy(values[kind]).split(1000):
            histogram.add(part)
    return found


def test_a_histogram_knows_its_values():
    values = drawn()['intra']
    histogram = histograms(dict(intra=values))['intra']
    assert histogram.mean == pytest.approx(values.mean(), abs=1e-3)
    assert histogram.quantile(0.9) == pytest.approx(np.quantile(values, 0.9), abs=2e-3)
    assert histogram.share_above(0.3) == pytest.approx((values > 0.3).mean(), abs=3e-3)
    assert histogram.distance(0.3) == pytest.approx(np.abs(values - 0.3).mean(), abs=1e-3)


def test_terms_by_hand():
    values = drawn()
    found = terms_of(**histograms(values), n_clusters=K)
    at = np.sort(np.concatenate([*values.values()]))
    below = {kind: np.searchsorted(np.sort(of), at) / len(of) for kind, of in values.items()}
    shifts = {kind: at[np.argmax(below['negative'] - below[kind])] for kind in ('intra', 'inter')}
    shifts['negative'] = np.quantile(values['negative'], 1 - 1 / K)
    weights = {kind: 1 / np.abs(values[kind] - shift).mean() for kind, shift in shifts.items()}
    forces = {kind: values[kind].mean() - shift for kind, shift in shifts.items()}
    pull = weights['intra'] * forces['intra'] + weights['inter'] * forces['inter']
    assert pull > -weights['negative'] * forces['negative']  # so that its weight is the larger one
    weights['negative'] = -pull / forces['negative']
    for kind, shift in shifts.items():
        assert found[kind].shift == pytest.approx(shift, abs=2e-3)
        assert found[kind].weight == pytest.approx(weights[kind] / sum(weights.values()), rel=2e-2)


def test_codes_that_are_all_alike_are_not_drawn_together():
    values = drawn()
    for change in (0., 0.2, -0.3):  # of the correlations within an image
        shifted = dict(values, intra=values['intra'] + change)
        found = terms_of(**histograms(shifted), n_clusters=K)
        assert sum(term.weight * (shifted[kind].mean() - term.shift) for kind, term in found.items()) < 1e-3


def test_scale_and_offset_do_not_change_which_pairs_draw_together():
    values = drawn()
    shares = []
    for change in (lambda x: x, lambda x: 0.5 * x + 0.3):
        changed = histograms({kind: change(of) for kind, of in values.items()})
        found = terms_of(**changed, n_clusters=K)
        shares.append([changed[kind].share_above(term.shift) for kind, term in found.items()])
    np.testing.assert_allclose(*shares, atol=0.01)
    assert shares[0][2] == pytest.approx(1 / K, abs=2e-3)


def test_features_that_are_all_alike():
    values = dict(drawn(), inter=np.full(100, 0.5))
    with pytest.raises(ValueError, match=r'the correlations of the features are all 0.50. \(inter\), so they tell'):
        terms_of(**histograms(values), n_clusters=K)


def test_constants_that_nothing_finds():
    found = model(intra='auto', inter='auto', negative='auto')
    assert 'terms' in found.state_dict() and 'terms' not in model().state_dict()
    with pytest.raises(RuntimeError, match="are 'auto', but nothing has found them: add correspondence=dict.type="):
        found([torch.randn(4, 16, 5, 5)] * 2, [], mode='loss')
    with pytest.raises(ValueError, match="model.intra is 'auto', but not all of .* set all three to 'auto', or to"):
        model(intra='auto')


@pytest.mark.filterwarnings('ignore')
def test_the_size_of_the_batches_does_not_matter(image_folder, tmp_path):
    """Of the same images in the same order."""
    found = []
    for size in (2, 3):
        runner = Runner.from_cfg(resumable_config(
            'stego', image_folder, tmp_path / str(size), train_cfg__steps_per_epoch=1,
            train_dataloader__batch_size=size))
        runner.train()
        found.append(runner.model.terms)
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-6)
    assert found[0][:, 0].sum() == pytest.approx(1) and (found[0] > 0).all()
