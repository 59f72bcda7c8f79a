import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmseg_unsup.models import EmbeddingHead

BN = dict(type='BN', requires_grad=True)


def head(**kwargs):
    torch.manual_seed(0)
    options = dict(in_channels=6, channels=5, embedding_channels=4, dilations=(1, 2, 3), norm_cfg=BN)
    head = EmbeddingHead(**{**options, **kwargs})
    for module in head.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.running_mean)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return head.eval()


def norm(x, module):
    scale = module.weight / (module.running_var + module.eps).sqrt()
    shift = module.bias - module.running_mean * scale
    return (x * scale[:, None, None] + shift[:, None, None]).relu()


def reference(head, x, dilations):
    """The published layers, one by one."""
    aspp = head.aspp
    outs = [norm(F.conv2d(x, aspp.branches[0].conv.weight), aspp.branches[0].bn)]
    outs += [norm(F.conv2d(x, branch.conv.weight, padding=rate, dilation=rate), branch.bn)
             for branch, rate in zip(aspp.branches[1:], dilations)]
    mean = F.adaptive_avg_pool2d(x, 1)
    mean = norm(F.conv2d(mean, aspp.image_mean.conv.weight), aspp.image_mean.bn)
    outs.append(F.interpolate(mean, x.shape[-2:], mode='bilinear'))
    projected = norm(F.conv2d(torch.cat(outs, 1), aspp.project.conv.weight), aspp.project.bn)
    trunk = norm(F.conv2d(projected, head.smooth.conv.weight, padding=1), head.smooth.bn)
    return trunk, F.conv2d(trunk, head.embedding.weight, head.embedding.bias), F.conv2d(trunk, head.saliency.weight)


@pytest.mark.parametrize('dilations', [(1, 2, 3), (12, 24, 36), (2, )])
def test_layers(dilations):
    module, x = head(dilations=dilations), torch.randn(2, 6, 7, 9)
    trunk, embedding, saliency = reference(module, x, dilations)
    feats = (None, x)
    torch.testing.assert_close(module.trunk(feats), trunk)
    torch.testing.assert_close(module(feats), (embedding, saliency))
    first = head(dilations=dilations, in_index=0)
    torch.testing.assert_close(first.trunk((x, None)), trunk)


def test_parameters_of_the_published_head():
    """No biases below a norm, none in the saliency convolution, one in the embedding; 16.1 M in all."""
    module = EmbeddingHead(norm_cfg=BN)
    biases = [name for name, _ in module.named_parameters() if name.endswith('bias') and '.bn.' not in name]
    assert biases == ['embedding.bias']
    convs = 2048 * 256 * (1 + 3 * 9 + 1) + 5 * 256 * 256 + 256 * 256 * 9 + 256 * 33 + 32
    assert sum(x.numel() for x in module.parameters()) == convs + 7 * 2 * 256


def test_dropout_is_after_the_projection():
    module = head(dropout_ratio=1.)
    x = torch.randn(2, 6, 7, 9)
    module.aspp.dropout.train()
    assert (module.aspp(x) == 0).all()
    module.aspp.dropout.eval()
    assert module.aspp(x).any()


def test_one_image_alone_trains():
    """Its mean is one value a channel: the running statistics take the place of a variance that is not there."""
    module, x = head(dropout_ratio=0.), torch.randn(1, 6, 7, 9)
    module.train()
    before = module.aspp.image_mean.bn.running_mean.clone()
    embedding, saliency = module((x, ))
    (embedding.sum() + saliency.sum()).backward()
    assert module.aspp.image_mean.bn.training and torch.equal(module.aspp.image_mean.bn.running_mean, before)
    assert all(x.grad.isfinite().all() for x in module.parameters())
    mean = module.aspp._embed_mean(x)
    torch.testing.assert_close(mean, module.eval().aspp._embed_mean(x))
    module.train()(x[None].expand(2, 1, 6, 7, 9).flatten(0, 1)[None])
    assert not torch.equal(module.aspp.image_mean.bn.running_mean, before)
