"""A frozen backbone: what it gives, what sees it, and which checkpoints fit it."""
import copy
import sys
from functools import partial

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from mmseg_unsup.models.backbones import frozen_networks
from mmseg_unsup.registry import MODELS
from mmseg_unsup.weights import identity_text, weights_identity

SMALL = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='SyncBN'))
LAYERS = ['layer1', 'layer2', 'layer3', 'layer4']


def write_weights(path, seed: int = 0) -> str:
    """Weights of a narrow ResNet-18 whose statistics are those of noise."""
    torch.manual_seed(seed)
    network = MODELS.build(dict(SMALL, norm_cfg=dict(type='BN', momentum=1.)))
    network(torch.randn(4, 3, 64, 64))
    torch.save(dict(state_dict=network.state_dict(), meta=dict(weights_seen='nothing but noise')), path)
    return str(path)


def frozen_cfg(checkpoint=None, **settings) -> dict:
    init_cfg = checkpoint and dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=checkpoint)
    return dict(type='mmseg_unsup.FrozenBackbone', backbone=dict(SMALL, init_cfg=init_cfg)) | settings


def build(checkpoint=None, **settings) -> nn.Module:
    module = MODELS.build(frozen_cfg(checkpoint, **settings))
    module.init_weights()
    return module


@pytest.fixture
def weights(tmp_path):
    return write_weights(tmp_path / 'weights.pth')


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def layers_by_hand(network, images) -> dict:
    x, found = network.maxpool(network.relu(network.norm1(network.conv1(images)))), {}
    for name in LAYERS:
        x = found[name] = getattr(network, name)(x)
    return found


def test_outputs_by_name_are_those_of_the_layers(weights, images):
    module = build(weights).train()
    expected = layers_by_hand(module.network, images)
    for level, name in zip(module(images), LAYERS):
        assert torch.equal(level, expected[name]) and not level.requires_grad
    chosen = build(weights, out=['layer4', 1])(images)
    assert torch.equal(chosen[0], expected['layer4']) and torch.equal(chosen[1], expected['layer2'])
    stem = module.named_outputs(images, ['conv1'])['conv1']
    assert torch.equal(stem, module.network.conv1(images)) and not module.network.conv1._forward_hooks


@pytest.mark.parametrize('out', [None, ['layer2', 3]])
def test_float16_does_not_depend_on_the_batch(weights, images, out):
    module, exact = build(weights, float16=True, out=out), build(weights, out=out)
    alone = [exact(image[None].contiguous(memory_format=torch.channels_last)) for image in images]
    with torch.autocast('cpu', torch.bfloat16):
        found = module(images)
    for level, *expected in zip(found, *alone):
        assert level.dtype == torch.float32 and level.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(level, torch.cat(expected).half().float())
        assert not torch.equal(level, torch.cat(expected))


def test_float16_is_computed_in_the_precision_of_the_run(weights, images):
    """Also in a training step, whose own precision is another."""
    module, exact = build(weights, float16=True, out=['layer4']), build(weights, out=['layer4'])
    assert module.precision == 'float32'
    in_bfloat16 = partial(torch.autocast, 'cpu', torch.bfloat16)
    module.no_grad_context = in_bfloat16
    with in_bfloat16():
        expected = torch.cat([exact(image[None].contiguous(memory_format=torch.channels_last))[0] for image in images])
    with torch.enable_grad():
        found, = module(images)
    assert module.precision == 'bfloat16' and expected.dtype == torch.bfloat16
    assert found.dtype == torch.float32 and torch.equal(found, expected.half().float())
    assert not any(parameter.requires_grad for parameter in module.network.parameters())


@MODELS.register_module()
class TwoOutputs(nn.Module):
    """A backbone with outputs of its own."""
    output_names = ('keys', 'tokens')

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 8, 8)

    def forward(self, images):
        return self.layer(images),

    def named_outputs(self, images, names):
        tokens = self.layer(images)
        return {name: dict(tokens=tokens, keys=-tokens)[name] for name in names}


def test_outputs_that_a_backbone_offers(images):
    module = build(backbone=dict(type='mmseg_unsup.TwoOutputs'), out=('keys', 'tokens'))
    keys, tokens = module(images)
    assert torch.equal(keys, -tokens) and torch.equal(tokens, module.network.layer(images))
    with pytest.raises(ValueError, match="out='key' is no output of the frozen TwoOutputs: did you mean keys"):
        build(backbone=dict(type='mmseg_unsup.TwoOutputs'), out='key')


def test_unknown_outputs(images):
    with pytest.raises(ValueError, match="out='stage' is no output of the frozen ResNet.*layer1, layer2"):
        build(out='stage')
    with pytest.raises(ValueError, match='out=4 is no output of the frozen ResNet, which gives 4 maps'):
        build(out=4)(images)


@pytest.mark.parametrize('kind, missing', [('TIMMBackbone', 'timm'), ('mmpretrain.ResNet', 'mmpretrain')])
def test_packages_that_are_missing(monkeypatch, kind, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=f'the backbone {kind} needs {missing} and a torchvision .*: pip install'):
        build(backbone=dict(type=kind, model_name='resnet10t'))


class Model(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone, self.head = backbone, nn.Conv2d(64, 2, 1)


@pytest.mark.parametrize('paramwise', [{}, dict(paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=2.))))])
def test_training_does_not_touch_it(weights, images, capfd, paramwise):
    model = nn.SyncBatchNorm.convert_sync_batchnorm(Model(build(weights))).train().requires_grad_(True)
    before = copy.deepcopy(model.backbone.network.state_dict())
    capfd.readouterr()
    wrapper = build_optim_wrapper(model, dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1.), **paramwise))
    assert 'skipped' not in ''.join(capfd.readouterr())  # mmengine says it of every tensor without a gradient
    held = {id(param) for group in wrapper.optimizer.param_groups for param in group['params']}
    assert held == {id(param) for param in model.head.parameters()}
    wrapper.update_params(model.head(model.backbone(images)[-1]).square().mean())
    network, = frozen_networks(model)
    assert all(param.grad is None and not param.requires_grad for param in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(isinstance(module, nn.SyncBatchNorm) or module.training for module in network.modules())


def test_a_copy_shares_it_and_devices_reach_it(weights):
    model = Model(build(weights))
    teacher = copy.deepcopy(model)
    assert teacher.backbone is model.backbone and teacher.head is not model.head and model.backbone.is_frozen
    model.double()
    assert model.backbone.network.conv1.weight.dtype == torch.float64


def test_only_the_identity_is_in_the_checkpoint(weights, images):
    module = build(weights)
    assert [*module.state_dict()] == ['identity']
    assert identity_text(module.identity) == module.fingerprint
    assert torch.equal(module.identity, weights_identity(module.network.state_dict()))
    other = MODELS.build(frozen_cfg(weights))  # as an evaluation builds it: nothing has been loaded
    assert not any(torch.equal(*pair) for pair in zip(other(images), module(images)))
    other.load_state_dict(module.state_dict())
    assert all(torch.equal(*pair) for pair in zip(other(images), module(images)))


def test_other_weights_are_refused(weights, tmp_path):
    module, second = build(weights), write_weights(tmp_path / 'other.pth', 1)
    own, theirs = module.fingerprint, build(second).fingerprint
    assert own != theirs
    message = f'frozen ResNet with the weights {own}, but those of .*other.pth are {theirs}: name the file .*init=FILE'
    for loaded in (MODELS.build(frozen_cfg(second)), build(second)):
        with pytest.raises(ValueError, match=message):
            loaded.load_state_dict(module.state_dict())
    with pytest.raises(ValueError, match=f'the weights {own}, whose file missing.pth is not there: name the file'):
        MODELS.build(frozen_cfg('missing.pth')).load_state_dict(module.state_dict())
    with pytest.raises(ValueError, match=f'{own}, and the config does not say where they are'):
        MODELS.build(frozen_cfg()).load_state_dict(module.state_dict())
    assert build(weights).load_state_dict({}, strict=False).missing_keys == ['identity']


@pytest.mark.parametrize('settings', [dict(keep_in_checkpoint=True), dict(checkpoint=None)])
def test_weights_that_are_kept(weights, images, settings):
    """Those of random weights always, by the names that a backbone that trains gives them."""
    module = build(**{'checkpoint': weights, **settings})
    state = module.state_dict()
    assert {*state} == {'identity', *module.network.state_dict()}
    other = MODELS.build(frozen_cfg())
    other.load_state_dict(state)
    assert other.fingerprint == module.fingerprint and {*other.state_dict()} == {*state}
    assert all(torch.equal(*pair) for pair in zip(other(images), module(images)))
