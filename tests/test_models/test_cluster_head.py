"""A head without clusters of its own."""
import pytest
import torch
import torch.nn.functional as F

from mmseg_unsup.models import ClusterHead
from mmseg_unsup.registry import MODELS


def test_it_has_the_fresh_set_alone():
    head = MODELS.build(dict(type='mmseg_unsup.ClusterHead', in_channels=6, n_clusters=5))
    assert type(head) is ClusterHead and head.set_names() == ['fresh'] and head.default_set == 'fresh'
    assert head.num_classes == head.out_channels == 5
    feats = torch.randn(2, 6, 3, 4, generator=torch.Generator().manual_seed(0))
    with pytest.raises(RuntimeError, match="the cluster set 'fresh' has not been fitted"):
        head((feats, ))
    prototypes = F.normalize(feats[0].flatten(1).t()[[1, 4, 7]])
    head.set_fresh_prototypes(prototypes)
    assert head.num_classes == 3
    assert head((feats, )).argmax(1)[0].flatten()[[1, 4, 7]].tolist() == [0, 1, 2]
    with pytest.raises(KeyError, match="unknown cluster set 'view1'"):
        head((feats, ), ['view1'])


def test_a_subclass_must_say_what_its_sets_are():

    class Incomplete(ClusterHead):
        trained_sets = ['mine']

    head = Incomplete(in_channels=6, n_clusters=5)
    with pytest.raises(NotImplementedError, match="Incomplete does not say how the set 'mine' scores"):
        head((torch.zeros(1, 6, 2, 2), ))
    with pytest.raises(NotImplementedError, match="Incomplete does not say what the set 'mine' is made of"):
        head.set_tensors('mine')
