"""Parts of checkpoints land bit by bit, and everything else is an error with its cause."""
import copy

import pytest
import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import nn

from mmseg_unsup.weights import (add_labels, check_stock_initialization, check_unchanged, initial_weights_seen,
                                 read_part, resnet_depth, weights_seen)
from mmseg_unsup.weights.weights_seen import stated_labels
from mmseg_unsup.utils.config import load_config
from mmseg_unsup.utils.config_text import parse_config_text
from ..conftest import ROOT

CONFIG = "model = dict(type='mmseg_unsup.PiCIE', target_generator=dict(epochs={}))\nn_clusters = 3\n"


def backbone_cfg(depth: int = 18, width: int = 8, **kwargs) -> dict:
    return dict(type='ResNet', depth=depth, base_channels=width, stem_channels=width, norm_cfg=dict(type='BN'),
                **kwargs)


def neck_cfg(**kwargs) -> dict:
    return dict(type='mmseg_unsup.LateralSumNeck', in_channels=[8, 16, 32, 64], out_channels=4, **kwargs)


def random_state(module: nn.Module, seed: int = 0) -> dict:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.rand(value.shape, generator=generator) if value.is_floating_point() else value + 7
            for name, value in module.state_dict().items()}


@pytest.fixture(scope='module')
def parts():
    """Trained and averaged backbone and neck, all different."""
    from mmengine.registry import init_default_scope
    init_default_scope('mmseg')
    modules = dict(backbone=MODELS.build(backbone_cfg()), neck=MODELS.build(neck_cfg()))
    return {f'{prefix}{part}.': random_state(module, seed)
            for seed, prefix in enumerate(('', 'target_generator.')) for part, module in modules.items()}


@pytest.fixture
def checkpoint(parts, tmp_path):
    """Path of a file as a PiCIE run with an averaging teacher writes it."""
    return write(parts, tmp_path / 'picie.pth', CONFIG.format(4.0))


def write(parts, path, config: str = '', **meta) -> str:
    state = {prefix + name: value for prefix, of_part in parts.items() for name, value in of_part.items()}
    state['decode_head.clusters.view1.weight'] = torch.ones(3, 4)
    torch.save(dict(meta=dict(cfg=config, **meta), state_dict=state), path)
    return str(path)


def load(cfg: dict, checkpoint: str, kind: str = 'Backbone', **options):
    module = MODELS.build(dict(cfg, init_cfg=dict(type=f'mmseg_unsup.Pretrained{kind}', checkpoint=checkpoint,
                                                  **options)))
    module.init_weights()
    return module


def assert_equal(module: nn.Module, state: dict) -> None:
    current = module.state_dict()
    assert set(current) == set(state) and all(torch.equal(current[name], state[name]) for name in state)


@pytest.mark.parametrize('epochs, options, prefix', [
    ('4.0', {}, 'target_generator.'), ('None', {}, ''), ('4.0', dict(averaged=False), ''),
    ('None', dict(averaged=True), 'target_generator.'),
    ('None', dict(prefix='target_generator.backbone'), 'target_generator.')])
def test_every_tensor_is_that_of_the_file(parts, tmp_path, epochs, options, prefix):
    path = write(parts, tmp_path / 'x.pth', CONFIG.format(epochs))
    module = load(backbone_cfg(), path, **options)
    assert_equal(module, parts[f'{prefix}backbone.'])
    assert len(module.initialization.sums) == 120 and f'({prefix}backbone.*)' in module.initialization.source
    if 'prefix' not in options:
        assert_equal(load(neck_cfg(), path, 'Neck', **options), parts[f'{prefix}neck.'])


def test_children_with_initialisers_of_their_own_do_not_overwrite(parts, tmp_path):
    """mmseg's FPN consists of ConvModules, which mmengine initialises after the init_cfg of their parent."""
    cfg = dict(type='FPN', in_channels=[8, 16], out_channels=4, num_outs=2)
    state = random_state(MODELS.build(cfg))
    path = write({**parts, 'neck.': state}, tmp_path / 'fpn.pth')
    assert_equal(load(cfg, path, 'Neck'), state)


def test_a_plain_file_has_a_classifier_and_no_neck(parts, tmp_path):
    plain = dict(parts['backbone.'], **{'fc.weight': torch.ones(10, 64), 'fc.bias': torch.ones(10)})
    torch.save(plain, tmp_path / 'plain.pth')
    assert_equal(load(backbone_cfg(), str(tmp_path / 'plain.pth')), parts['backbone.'])
    neck = MODELS.build(neck_cfg())
    before = copy.deepcopy(neck.state_dict())
    neck.init_cfg = dict(type='mmseg_unsup.PretrainedNeck', checkpoint=str(tmp_path / 'plain.pth'))
    neck.init_weights()
    assert_equal(neck, before)
    early = {name: value.reshape(1) if 'num_batches' in name else value for name, value in parts['backbone.'].items()}
    torch.save(early, tmp_path / 'early.pth')
    assert_equal(load(backbone_cfg(), str(tmp_path / 'early.pth')), parts['backbone.'])
    without = {name: value for name, value in plain.items() if 'num_batches' not in name}
    torch.save(without, tmp_path / 'old.pth')
    assert len(load(backbone_cfg(), str(tmp_path / 'old.pth')).initialization.sums) == 100


@pytest.mark.parametrize('options', [{}, dict(prefix='module.encoder_q.'), dict(prefix='encoder_q')])
def test_checkpoints_of_moco(parts, tmp_path, options):
    """The trained encoder of the published files, without its projection, its moving average and the queue."""
    trained = dict(parts['backbone.'], **{f'fc.{i}.{name}': torch.ones(8) for i in '02' for name in ('weight', 'bias')})
    state = {f'module.encoder_q.{name}': value for name, value in trained.items()}
    state |= {name.replace('_q', '_k'): torch.zeros_like(value) for name, value in state.items()}
    state |= {'module.queue': torch.ones(8, 4), 'module.queue_ptr': torch.zeros(1)}
    torch.save(dict(epoch=800, arch='resnet18', state_dict=state, optimizer=dict(state={})), tmp_path / 'moco.pth.tar')
    module = load(backbone_cfg(), str(tmp_path / 'moco.pth.tar'), **options)
    assert_equal(module, parts['backbone.'])
    assert len(module.initialization.sums) == 120 and '(encoder_q.*)' in module.initialization.source
    shipped = load_config(f'{ROOT}/configs/maskcontrast/maskcontrast_deeplabv3_voc.py',
                          dict(init=str(tmp_path / 'moco.pth.tar'))).model.backbone
    shipped.update(depth=18, base_channels=8, stem_channels=8, dilations=(1, 1, 1, 1))
    module = MODELS.build(shipped)
    module.init_weights()
    assert_equal(module, parts['backbone.'])


@pytest.mark.parametrize('cfg, options, message', [
    (backbone_cfg(depth=50), {}, 'only 97/318 .*holds a ResNet-18, and the config builds a ResNet-50.*depth=18'),
    (backbone_cfg() | dict(type='ResNetV1c'), {}, r"whose deep stem.* set model.backbone.type='ResNet'.*r18b"),
    (backbone_cfg(width=16), {}, r'the widths differ; conv1.weight is \(8, 3, 7, 7\) in the file and \(16, 3, 7, 7\)'),
    (backbone_cfg(), dict(prefix='module.encoder'), r"begins with 'encoder.', but backbone. \(120\)"),
    (backbone_cfg(), dict(prefix='target_generator'), 'only 0/120 .* a wrong prefix .* begin with backbone, neck'),
])
def test_a_wrong_backbone_says_why(checkpoint, cfg, options, message):
    with pytest.raises(ValueError, match=message):
        load(cfg, checkpoint, **options)


def test_tensors_that_the_model_does_not_have_are_an_error(parts, tmp_path):
    extra = dict(parts['backbone.'], **{'layer5.0.conv1.weight': torch.ones(1)})
    path = write({'backbone.': extra}, tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='unknown to the model 1 .such as layer5.0.conv1.weight.* another type'):
        load(backbone_cfg(), path)
    assert_equal(load(backbone_cfg(), path, allow_missing=True), parts['backbone.'])


def test_a_wrong_neck_says_why(checkpoint, tmp_path, parts):
    with pytest.raises(ValueError, match='only 4/8 neck tensors .*the neck of the config is another one'):
        load(neck_cfg() | dict(in_channels=[9, 17, 33, 65]), checkpoint, 'Neck')
    path = write({'backbone.': parts['backbone.']}, tmp_path / 'x.pth')
    with pytest.raises(ValueError, match=r'no tensor of a neck \(neck.\*\).*set model.neck.init_cfg=None'):
        load(neck_cfg(), path, 'Neck')
    with pytest.raises(ValueError, match='averaged=True, but .* has no teacher'):
        load(backbone_cfg(), path, averaged=True)


def test_broken_files_say_so(checkpoint, parts, tmp_path):
    content = open(checkpoint, 'rb').read()
    (tmp_path / 'cut.pth').write_bytes(content[:len(content) // 2])
    (tmp_path / 'text.pth').write_text('<html>not found</html>')
    (tmp_path / 'empty.pth').write_bytes(b'')
    middle = bytearray(content)
    at = content.index(parts['backbone.']['conv1.weight'].numpy().tobytes())
    middle[at + 8] ^= 0xff
    (tmp_path / 'flipped.pth').write_bytes(middle)
    with pytest.raises(ValueError, match='flipped.pth is corrupted: the checksum of .*data/.* is wrong; .*init=PATH'):
        load(backbone_cfg(), str(tmp_path / 'flipped.pth'))
    for name, reason in dict(cut='cut off;', text='page of the web', empty='empty;').items():
        with pytest.raises(ValueError, match=f'{name}.pth cannot be read .* {reason}.*init=PATH'):
            load(backbone_cfg(), str(tmp_path / f'{name}.pth'))
    with pytest.raises(FileNotFoundError, match='no file of weights .*nowhere.pth.: set init'):
        load(backbone_cfg(), str(tmp_path / 'nowhere.pth'))
    torch.save([1], tmp_path / 'list.pth')
    with pytest.raises(ValueError, match='holds a list, not a dict of tensors'):
        load(backbone_cfg(), str(tmp_path / 'list.pth'))
    with pytest.raises(ValueError, match='init_cfg of the backbone has checkpoint=None'):
        load(backbone_cfg(), None)
    state = dict(parts['backbone.'])
    state['conv1.weight'] = state['conv1.weight'] / 0
    with pytest.raises(ValueError, match='no finite numbers in 1 of 120 backbone tensors, such as conv1.weight'):
        load(backbone_cfg(), write({'backbone.': state}, tmp_path / 'x.pth'))


class SelfInitialising(BaseModule):
    """As some vision transformers do."""

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.conv = nn.Conv2d(1, 1, 1)

    def init_weights(self):
        super().init_weights()
        nn.init.zeros_(self.conv.weight)


def test_weights_that_are_overwritten_later_are_found(tmp_path):
    torch.save({'conv.weight': torch.ones(1, 1, 1, 1), 'conv.bias': torch.ones(1)}, tmp_path / 'x.pth')
    module = SelfInitialising(dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=str(tmp_path / 'x.pth')))
    module.init_weights()
    with pytest.raises(RuntimeError, match='1 of 2 backbone tensors, such as conv.weight, were loaded .* overwritten'):
        check_unchanged(module, 'backbone')


def test_channels_last_is_no_change(checkpoint):
    module = load(backbone_cfg(), checkpoint)
    check_unchanged(module.to(memory_format=torch.channels_last), 'backbone')
    with torch.no_grad():
        module.layer4[1].conv2.weight[0, 0, 0, 0] += 1e-6
    with pytest.raises(RuntimeError, match='1 of 120 .*layer4.1.conv2.weight'):
        check_unchanged(module, 'backbone')


def stock(cfg: dict, checkpoint: str, prefix='backbone.'):
    module = MODELS.build(dict(cfg, init_cfg=dict(type='Pretrained', checkpoint=checkpoint, prefix=prefix)))
    if prefix:
        module.init_weights()
    return module


def test_the_stock_init_cfg_is_checked_too(checkpoint, parts, tmp_path):
    module = stock(backbone_cfg(), checkpoint)
    check_stock_initialization(module)
    assert_equal(module, parts['backbone.'])
    with pytest.raises(ValueError, match='deep stem'):
        check_stock_initialization(stock(backbone_cfg() | dict(type='ResNetV1c'), checkpoint))
    with pytest.raises(ValueError, match='only 0/120 .*a wrong prefix.*set prefix in init_cfg'):
        check_stock_initialization(stock(backbone_cfg(), checkpoint, prefix=None))


def test_depth_by_names():
    for depth in (18, 34, 50, 101):
        assert resnet_depth(MODELS.build(backbone_cfg(depth)).state_dict()) == depth
    assert resnet_depth({'conv1.weight': torch.ones(1)}) is None


def test_what_weights_have_seen(checkpoint, parts, tmp_path):
    assert weights_seen('torchvision://resnet18') == 'ImageNet labels'
    assert weights_seen('a.pth') == 'unknown' == weights_seen('a.pth', {})
    recorded = write(parts, tmp_path / 'x.pth', weights_seen='none')
    assert read_part(recorded).seen == 'none'
    assert initial_weights_seen(MODELS.build(backbone_cfg())) == 'none'
    assert initial_weights_seen(load(backbone_cfg(), recorded)) == 'none'
    assert initial_weights_seen(load(backbone_cfg(), checkpoint)) == 'unknown'
    assert initial_weights_seen(stock(backbone_cfg(), recorded)) == 'none'
    for statement in ('ImageNet', 'ImageNet labels', 'ImageNetlabels'):  # mmengine takes spaces out of options
        assert stated_labels(statement) == 'ImageNet labels'
    assert stated_labels('none') == 'none'
    assert add_labels('none', 'CamVid labels') == 'CamVid labels'
    assert add_labels('ImageNet labels', 'CamVid labels') == 'ImageNet labels, CamVid labels'
    assert add_labels('unknown, CamVid labels', 'CamVid labels') == 'unknown, CamVid labels'


def test_configs_in_checkpoints_are_read_and_never_run(tmp_path):
    text = "a = dict(b=[1, (2., None)], c={'d': -1})\nimport os\nb = open('x', 'w')\nc = 'e'\n"
    assert parse_config_text(text) == dict(a=dict(b=[1, (2., None)], c={'d': -1}), c='e')
    assert parse_config_text('a = (') == {}
