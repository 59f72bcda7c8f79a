"""STEGO: steps of the released code, neighbours, and a run."""
import pytest
import torch
from mmengine.model import BaseModule

from mmseg_unsup.engine.hooks.image_neighbour_hook import image_neighbours
from mmseg_unsup.evaluation.probes import PixelProbe
from mmseg_unsup.models.clusters import CosineClusterSet
from mmseg_unsup.models.segmentors import STEGO
from mmseg_unsup.models.segmentors.stego import Draw
from mmseg_unsup.registry import MODELS
from .test_correspondence_loss import tensors


@MODELS.register_module()
class GivenTokens(BaseModule):
    """A frozen network whose map is what it is given."""
    is_frozen = True

    def forward(self, images):
        return (images, )


def model(**options) -> STEGO:
    return STEGO(
        backbone=dict(type='mmseg_unsup.GivenTokens'),
        neck=dict(type='mmseg_unsup.ResidualProjection', in_channels=16, out_channels=6, dropout=0.),
        decode_head=dict(type='mmseg_unsup.ClusterHead', in_channels=6, n_clusters=5,
                         clusters=dict(cluster=dict(type='mmseg_unsup.CosineClusterSet'))),
        n_points=5, n_negatives=3, **options)


def test_three_steps_of_the_released_code():
    found = tensors('stego_train3')
    stego = model(intra=(0.67, 0.18), inter=(0.25, 0.12), negative=(0.63, 0.46))
    stego.neck.load_state_dict({key[7:]: value for key, value in found.items() if key.startswith('before/cluster')
                                and '.' in key})
    clusters = stego.clusters['cluster']
    clusters.weight.data = found['before/clusters'].clone()
    optimizer = torch.optim.Adam([dict(params=stego.neck.parameters(), lr=5e-4),
                                  dict(params=clusters.parameters(), lr=5e-3)])
    linear = pixel_probe(found['before/linear.weight'], found['before/linear.bias'])
    for step in range(3):
        own, partner = (found[name][step, :, 1:].transpose(1, 2).unflatten(2, (5, 5))
                        for name in ('tokens', 'tokens_pos'))
        draw = Draw(*(2 * found[f'rand{i}'][step] - 1 for i in (1, 2)), list(found['perms'][step]))
        stego._draw = lambda feats, draw=draw: draw
        losses = stego.loss([own, partner], [])
        labels = [*found['labels'][step]]
        codes = stego.neck((own, ))[0].detach()
        assert float(linear.loss(codes, labels)) == pytest.approx(float(found['losses'][step, 4]), rel=1e-4)
        linear.add(range(len(codes)), codes, labels)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        expected = found['losses'][step]
        for value, weighted in zip((losses['loss_intra'] / 0.67, losses['loss_inter'] / 0.25,
                                    losses['loss_negative'] / 0.63, losses['loss_cluster']), expected[[1, 2, 3, 5]]):
            assert float(value.detach()) == pytest.approx(float(weighted), rel=1e-4)
    for name, parameter in stego.neck.named_parameters():
        torch.testing.assert_close(parameter.data, found[f'after/{name}'], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(clusters.weight.data, found['after/clusters'], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(linear.weight.data, found['after/linear.weight'][..., 0, 0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(linear.bias.data, found['after/linear.bias'], rtol=1e-4, atol=1e-6)


def pixel_probe(weight, bias) -> PixelProbe:
    """That starts from (K, C, 1, 1) and (K,); labels that are no class are ignored as -1."""
    probe = PixelProbe()
    probe.begin(weight.size(1), len(weight), 8, 0, torch.device('cpu'), ignore_index=-1)
    probe.weight.data, probe.bias.data = weight[..., 0, 0].clone(), bias.clone()
    return probe


def test_the_linear_probe_of_the_released_code():
    """In one batch, and in two whose images have labels of another size."""
    found = tensors('stego_linear_probe')
    probe = pixel_probe(found['weight'], found['bias'])
    labels = torch.where(found['label'] < 5, found['label'], -1)
    loss = probe.loss(found['code'], [*labels])
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(found['loss']), rel=1e-5)
    torch.testing.assert_close(probe.weight.grad, found['grad_weight'][..., 0, 0], rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(probe.bias.grad, found['grad_bias'], rtol=1e-4, atol=1e-7)
    small = labels[1, ::2, ::2]
    apart = [probe.loss(found['code'][i:i + 1], [of]) * (of >= 0).sum() for i, of in enumerate((labels[0], small))]
    together = probe.loss(found['code'], [labels[0], small]) * ((labels[0] >= 0).sum() + (small >= 0).sum())
    torch.testing.assert_close(together, sum(apart))
    with pytest.raises(ValueError, match="label 5 is out of range for the probe 'linear': expected 0..4 or -1"):
        probe.add([0, 1], found['code'], [*found['label']])


def test_a_step_without_partners_is_refused():
    with pytest.raises(RuntimeError, match='STEGO compares images with partners, and there are none: train on a mmseg'):
        model()([torch.randn(4, 16, 5, 5)], [], mode='loss')


def test_the_cluster_probe_of_the_released_code():
    found = tensors('stego_cluster_probe')
    probe = CosineClusterSet(6, 5)
    probe.weight.data = found['clusters'].clone()
    loss = probe.loss(found['x'])
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(found['none/loss']), rel=1e-5)
    torch.testing.assert_close(probe.weight.grad, found['none/grad_clusters'], rtol=1e-4, atol=1e-7)
    assert torch.equal(probe(found['x']).argmax(1), found['none/probs'].argmax(1))
    torch.testing.assert_close((2 * probe(found['x'])).log_softmax(1), found['alpha2/log_probs'], rtol=1e-5, atol=1e-6)


def test_neighbours_of_the_released_code():
    found = tensors('stego_knn')
    neighbours = image_neighbours(found['feature_maps'].mean((2, 3)), 29)
    assert torch.equal(neighbours, found['nns'][:, 1:])


def test_an_image_is_not_its_own_neighbour_among_duplicates():
    means = torch.tensor([[1., 0.], [0., 1.], [1., 0.], [1., 0.], [0.6, 0.8]])
    neighbours = image_neighbours(means, 2)
    assert not (neighbours == torch.arange(5)[:, None]).any()
    assert set(neighbours[0].tolist()) == {2, 3} and set(neighbours[3].tolist()) == {0, 2}
    assert neighbours[1, 0] == 4


def test_an_image_alone_has_no_negatives():
    """The last batch of an epoch may have one image, which is not compared with itself as if it were another."""
    losses = model().loss([torch.randn(1, 16, 5, 5)] * 2, [])
    assert set(losses) == {'loss_intra', 'loss_inter', 'loss_cluster'}
    assert 'loss_negative' in model().loss([torch.randn(2, 16, 5, 5)] * 2, [])


def test_widths_that_do_not_fit():
    with pytest.raises(ValueError, match='model.neck.in_channels is 16, but what the backbone gives the neck has 12 '
                       'channels: set it to 12, or'):
        model().extract_feat(torch.randn(1, 12, 5, 5))
    head = dict(type='mmseg_unsup.ClusterHead', in_channels=7, n_clusters=5,
                clusters=dict(cluster=dict(type='mmseg_unsup.CosineClusterSet')))
    neck = dict(type='mmseg_unsup.ResidualProjection', in_channels=16, out_channels=6)
    with pytest.raises(ValueError, match='model.neck.out_channels=6 and model.decode_head.in_channels=7 are of the '
                       'same codes: set both alike'):
        STEGO(backbone=dict(type='mmseg_unsup.GivenTokens'), neck=neck, decode_head=head)
    with pytest.raises(ValueError, match='model.neck.out_channels must be at least 1, but it is 0'):
        MODELS.build(dict(neck, out_channels=0))
