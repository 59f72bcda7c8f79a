"""The sets of clusters of a head: how they score, what a checkpoint has of them."""
import pytest
import torch
import torch.nn.functional as F

from mmseg_unsup.models import ClusterHead
from mmseg_unsup.models.clusters import ClassifierSet, ClusterSet, LabellingPrototypes, nearest_prototypes
from mmseg_unsup.registry import MODELS


def head(n_clusters=5, **kwargs):
    """With prototypes of two views."""
    torch.manual_seed(0)
    built = ClusterHead(in_channels=6, n_clusters=n_clusters, **kwargs)
    for name in ('view1', 'view2'):
        built.clusters[name] = LabellingPrototypes(6, n_clusters, built.distance)
        built.clusters[name].fit(torch.randn(n_clusters, 6), torch.rand(n_clusters))
    return built


def test_a_head_has_the_fresh_set_alone():
    built = MODELS.build(dict(type='mmseg_unsup.ClusterHead', in_channels=6, n_clusters=5))
    assert type(built) is ClusterHead and [*built.clusters] == ['fresh'] and built.clusters.default == 'fresh'
    assert built.num_classes == built.out_channels == 5
    feats = torch.randn(2, 6, 3, 4, generator=torch.Generator().manual_seed(0))
    with pytest.raises(RuntimeError, match="the cluster set 'fresh' has not been fitted"):
        built((feats, ))
    prototypes = F.normalize(feats[0].flatten(1).t()[[1, 4, 7]])
    built.clusters['fresh'].fit(prototypes)
    assert built.num_classes == 3
    assert built((feats, )).argmax(1)[0].flatten()[[1, 4, 7]].tolist() == [0, 1, 2]
    with pytest.raises(KeyError, match="unknown cluster set 'view1'"):
        built((feats, ), ['view1'])
    built.clusters['fresh'].fit(None)
    assert not built.clusters['fresh'].is_fitted and built.num_classes == 5


def test_a_set_of_the_config():
    """As the cluster probe of STEGO: the cosine with trained directions."""
    built = MODELS.build(dict(type='mmseg_unsup.ClusterHead', in_channels=6, n_clusters=5, clusters=dict(
        probe=dict(type='mmseg_unsup.CosineClusterSet', n_clusters=4))))
    assert [*built.clusters] == ['fresh', 'probe'] and built.clusters.default == 'probe' and built.num_classes == 4
    feats, weight = torch.randn(2, 6, 3, 4), built.clusters['probe'].weight
    assert weight.requires_grad and weight.shape == (4, 6)
    expected = torch.stack([F.cosine_similarity(feats, row[None, :, None, None], dim=1) for row in weight], 1)
    torch.testing.assert_close(built((feats, )), expected)
    torch.testing.assert_close(built.clusters['probe'].centers.norm(dim=1), torch.ones(4))


def test_a_set_must_say_how_it_scores_and_what_it_is_made_of():

    class Incomplete(ClusterSet):
        pass

    with pytest.raises(TypeError, match='abstract class Incomplete .*forward.*tensors'):
        Incomplete(6, 5)


def test_assignment_is_the_nearest_prototype():
    built = head()
    feats = F.normalize(torch.randn(2, 6, 3, 4), dim=1)
    sets = [built.clusters[name] for name in ('view1', 'view2')]
    for of_view, found in zip(sets, nearest_prototypes(sets, feats)):
        distances = (feats[:, None] - of_view.weight[None, :, :, None, None]).square().sum(2)
        assert torch.equal(found, distances.argmin(1))


def test_scores_of_several_sets_by_hand():
    built = head()
    built.clusters['fresh'].fit(torch.randn(3, 6))
    feats = torch.randn(2, 6, 3, 4)
    unit = F.normalize(feats, dim=1)
    scores = built((feats, ), ['fresh', 'view2'])
    assert scores.shape == (2, 3 + 5, 3, 4)
    for block, name in ((scores[:, :3], 'fresh'), (scores[:, 3:], 'view2')):
        distances = (unit[:, None] - built.clusters[name].weight[None, :, :, None, None]).square().sum(2)
        torch.testing.assert_close(block, (1 - distances) / 2, atol=1e-5, rtol=0)  # f.mu - |mu|^2 / 2 for |f| = 1


def test_dot_product_scores():
    built = head(distance='dot')
    feats = torch.randn(1, 6, 2, 2)
    expected = torch.einsum('nchw,kc->nkhw', F.normalize(feats, dim=1), built.clusters['view1'].weight)
    torch.testing.assert_close(built((feats, ), ['view1']), expected)


def test_default_set():
    built = head()
    assert built.clusters.default == 'view1' and built.num_classes == 5
    built.clusters['fresh'].fit(torch.randn(3, 6))
    assert built.clusters.default == 'fresh' and built.num_classes == 3


def test_a_set_that_was_never_fitted_is_an_error():
    built = head()
    built.clusters['view1'].fit(torch.zeros(5, 6), torch.zeros(5))
    with pytest.raises(RuntimeError, match="'view1' has not been fitted"):
        built((torch.randn(1, 6, 2, 2), ))
    with pytest.raises(KeyError, match='unknown cluster set'):
        built((torch.randn(1, 6, 2, 2), ), ['view3'])


def test_checkpoint_round_trip_with_any_number_of_fresh_prototypes():
    source, target = head(), head()
    for built, n_clusters in ((source, 3), (target, 7)):
        built.clusters['fresh'].fit(torch.randn(n_clusters, 6))
    target.clusters['view2'].fit(torch.randn(5, 6), torch.rand(5))
    target.load_state_dict(source.state_dict())
    assert len(target.clusters['fresh'].weight) == 3
    assert all(torch.equal(target.state_dict()[name], value) for name, value in source.state_dict().items())


def test_checkpoint_for_another_number_of_clusters():
    with pytest.raises(ValueError, match=r'clusters.view1.weight of shape \(5, 6\).*asks for \(4, 6\): set .*n_c'):
        head(n_clusters=4).load_state_dict(head().state_dict())


def test_running_losses_of_classifiers_are_means():
    classifiers = ClassifierSet(in_channels=4, n_clusters=3, num_sub_heads=2, momentum=0.5)
    for pair in ([-1., -2.], [-3., -2.], [-2., -4.]):
        classifiers.record_losses([torch.tensor(value) for value in pair])
    torch.testing.assert_close(classifiers.running_loss, torch.tensor([-2., -3.]))


def test_labels_by_full_float32(monkeypatch):
    """Whatever the network may round."""
    seen, product = [], torch.addmm

    def watched(*args, **kwargs):
        seen.append(torch.get_float32_matmul_precision())
        return product(*args, **kwargs)

    monkeypatch.setattr(torch, 'addmm', watched)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('high')
    try:
        nearest_prototypes([head().clusters['view1']], torch.randn(1, 6, 2, 2))
        assert seen == ['highest'] and torch.get_float32_matmul_precision() == 'high'
    finally:
        torch.set_float32_matmul_precision(before)
