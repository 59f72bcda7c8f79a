import pytest
import torch
import torch.nn.functional as F

from mmseg_unsup.models import PrototypeHead


def head(**kwargs):
    torch.manual_seed(0)
    built = PrototypeHead(in_channels=6, n_clusters=5, **kwargs)
    built.set_prototypes(torch.randn(2, 5, 6), torch.rand(2, 5))
    return built


def test_assignment_is_the_nearest_prototype():
    built = head()
    feats = F.normalize(torch.randn(2, 6, 3, 4), dim=1)
    for v in range(2):
        distances = (feats[:, None] - built.prototypes[v][None, :, :, None, None]).square().sum(2)
        assert torch.equal(built.assign(feats, v), distances.argmin(1))


def test_scores_of_several_sets_by_hand():
    built = head()
    built.set_fresh_prototypes(torch.randn(3, 6))
    feats = torch.randn(2, 6, 3, 4)
    unit = F.normalize(feats, dim=1)
    scores = built((feats, ), ['fresh', 'view2'])
    assert scores.shape == (2, 3 + 5, 3, 4)
    for block, prototypes in ((scores[:, :3], built.fresh_prototypes), (scores[:, 3:], built.prototypes[1])):
        distances = (unit[:, None] - prototypes[None, :, :, None, None]).square().sum(2)
        torch.testing.assert_close(block, (1 - distances) / 2, atol=1e-5, rtol=0)  # f.mu - |mu|^2 / 2 for |f| = 1


def test_dot_product_scores():
    built = head(distance='dot')
    feats = torch.randn(1, 6, 2, 2)
    expected = torch.einsum('nchw,kc->nkhw', F.normalize(feats, dim=1), built.prototypes[0])
    torch.testing.assert_close(built((feats, ), ['view1']), expected)


def test_default_set():
    built = head()
    assert built.default_set == 'view1' and built.num_classes == 5
    built.set_fresh_prototypes(torch.randn(3, 6))
    assert built.default_set == 'fresh' and built.num_classes == 3


def test_a_set_that_was_never_fitted_is_an_error():
    built = PrototypeHead(in_channels=6, n_clusters=5)
    with pytest.raises(RuntimeError, match="'view1' has not been fitted"):
        built((torch.randn(1, 6, 2, 2), ))
    with pytest.raises(KeyError, match='unknown cluster set'):
        built((torch.randn(1, 6, 2, 2), ), ['view3'])


def test_checkpoint_round_trip_with_any_number_of_fresh_prototypes():
    source, target = head(), head()
    source.set_fresh_prototypes(torch.randn(3, 6))
    target.set_fresh_prototypes(torch.randn(7, 6))
    target.load_state_dict(source.state_dict())
    assert torch.equal(target.fresh_prototypes, source.fresh_prototypes)
    assert torch.equal(target.prototypes, source.prototypes)


def test_checkpoint_for_another_number_of_clusters():
    with pytest.raises(ValueError, match=r'shape \(2, 5, 6\).*asks for \(2, 4, 6\): set n_clusters .* to 5'):
        PrototypeHead(in_channels=6, n_clusters=4).load_state_dict(head().state_dict())
