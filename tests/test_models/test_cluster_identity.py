"""Which clusters ``pred_sem_seg`` shows, of every kind of head."""
import pytest
import torch

from mmseg.structures import SegDataSample

from mmseg_unsup.functional import to_image_size, fingerprint, winner_map
from ..test_apis.tiny_models import AVERAGED, CODES, METHODS, K, tiny_model

SETS = dict(PiCIE='view1', MDC='view1', IIC='classifier', MaskContrast='objects')
SETS.update(dict.fromkeys(CODES, 'cluster'))


@pytest.mark.parametrize('method', METHODS)
def test_identity_changes_with_the_clusters(method):
    model = tiny_model(method)
    first = model.cluster_identity()
    assert first[:2] == (SETS[method], K)
    clone = tiny_model(method)
    clone.load_state_dict(model.state_dict())
    assert clone.cluster_identity() == first
    head = 'decode_head.clusters.'
    tensors = dict(PiCIE=f'{head}view1.weight', MDC=f'{head}view1.weight', IIC=f'{head}classifier.classifiers.0.bias',
                   MaskContrast='object_clusters.objects.bias')
    of_codes = f'{head}cluster.teacher.weight' if method in AVERAGED else f'{head}cluster.weight'
    model.state_dict()[tensors.get(method, of_codes)].view(-1)[0] += 1e-3
    assert model.cluster_identity()[:2] == first[:2] and model.cluster_identity()[2] != first[2]


def test_a_set_that_is_asked_for_or_fitted_later_is_another():
    model = tiny_model('PiCIE')
    first = model.cluster_identity()
    model.clusters['fresh'].fit(torch.randn(3, 16))
    assert model.cluster_identity() == ('fresh', 3, fingerprint([model.clusters['fresh'].weight]))
    model.test_cfg = dict(cluster_sets=['view2', 'fresh'])
    assert model.cluster_identity() == ('view2', K, fingerprint([model.clusters['view2'].weight]))
    assert model.cluster_identity()[2] != first[2]


def test_iic_shows_its_best_sub_head():
    model = tiny_model('IIC')
    model.clusters['classifier'].running_loss.copy_(torch.tensor([1., -1.]))
    best = model.clusters['classifier'].classifiers[1]
    assert model.cluster_identity()[2] == fingerprint([best.weight, best.bias])


def test_clusters_that_were_never_fitted():
    model = tiny_model('PiCIE')
    model.clusters['view1'].fit(torch.zeros(K, 16), torch.zeros(K))
    with pytest.raises(RuntimeError, match="'view1' has not been fitted"):
        model.cluster_identity()
    model = tiny_model('MaskContrast')
    model.clusters['objects'].fit(None)  # then all objects are one
    assert model.cluster_identity()[1] == 2


@pytest.mark.parametrize('method', METHODS)
def test_scores_give_the_predicted_map(method):
    """Enlarged, the largest score is ``pred_sem_seg``."""
    model = tiny_model(method)
    inputs = torch.randn(2, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    metas = dict(img_shape=(48, 64), ori_shape=(60, 72))
    with torch.no_grad():
        predicted = model.predict(inputs, [SegDataSample(metainfo=metas) for _ in inputs])
        scores = model.cluster_scores(inputs)
    assert scores.shape[:2] == (2, K)
    for sample, of_image in zip(predicted, scores):
        winner, best = winner_map(of_image, metas)
        assert len(winner.unique()) > 1 and torch.equal(winner[None].long(), sample.pred_sem_seg.data.long())
        torch.testing.assert_close(best, to_image_size(of_image, metas, False).amax(0))


def test_scores_of_components_give_the_predicted_map():
    model = tiny_model('MaskContrast')
    model.test_cfg.update(objects='components', min_area=0.)
    inputs = torch.randn(3, 3, 96, 96, generator=torch.Generator().manual_seed(2))
    metas = dict(img_shape=(96, 96), ori_shape=(96, 96))
    with torch.no_grad():
        predicted = model.predict(inputs, [SegDataSample(metainfo=metas) for _ in inputs])
        scores = model.cluster_scores(inputs)
    assert max(len(sample.object_descriptors) for sample in predicted) > 1
    for sample, of_image in zip(predicted, scores):
        winner, expected = winner_map(of_image, metas)[0].long(), sample.pred_sem_seg.data[0].long()
        wrong = winner != expected  # between objects of one cluster that touch at a corner
        assert (expected[wrong] == 0).all() and wrong.float().mean() < 0.01
