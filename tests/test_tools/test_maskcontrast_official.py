"""mmseg-unsup convert-maskcontrast on checkpoints with the names of the released code."""
import argparse
import datetime
import os
import os.path as osp

import pytest
import torch
import torch.nn.functional as F
from mmengine.runner import load_checkpoint
from mmseg.models.backbones import ResNet
from torch import nn

from mmseg_unsup.registry import MODELS
from mmseg_unsup.utils import load_config
from ..conftest import ROOT

CONFIG = osp.join(ROOT, 'configs', 'maskcontrast', 'maskcontrast_deeplabv3_folder.py')
D, QUEUE = 8, 12


@pytest.fixture
def config(tmp_path):
    """ResNet-18 with narrow layers."""
    path = tmp_path / 'small.py'
    path.write_text(f'''
_base_ = {CONFIG!r}
model = dict(
    backbone=dict(depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='BN'), init_cfg=None),
    decode_head=dict(in_channels=64, channels=16, embedding_channels={D}, norm_cfg=dict(type='BN')),
    queue_length={QUEUE})
shortcuts = dict(init=[])
''')
    return str(path)


def block(in_channels, channels, kernel, rate=1):
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel, padding=rate * (kernel // 2), dilation=rate, bias=False),
        nn.BatchNorm2d(channels), nn.ReLU())


class ImagePooling(nn.Sequential):

    def forward(self, x):
        return super().forward(x).expand(-1, -1, *x.shape[-2:])


class Pyramid(nn.Module):
    """torchvision's ASPP by its description."""

    def __init__(self, in_channels, channels, rates=(12, 24, 36)):
        super().__init__()
        pooling = ImagePooling(nn.AdaptiveAvgPool2d(1), *block(in_channels, channels, 1))
        self.convs = nn.ModuleList([block(in_channels, channels, 1),
                                    *(block(in_channels, channels, 3, rate) for rate in rates), pooling])
        self.project = nn.Sequential(*block(5 * channels, channels, 1), nn.Dropout(0.5))

    def forward(self, x):
        return self.project(torch.cat([conv(x) for conv in self.convs], 1))


class Branch(nn.Module):

    def __init__(self, channels=16):
        super().__init__()
        self.backbone = ResNet(18, base_channels=8, stem_channels=8, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4),
                               contract_dilation=True, norm_cfg=dict(type='BN'))
        self.decoder = nn.Sequential(Pyramid(64, channels), *block(channels, channels, 3))
        self.head = nn.Conv2d(channels, D, 1)
        self.classification_head = nn.Conv2d(channels, 1, 1, bias=False)

    def forward(self, images):
        trunk = self.decoder(self.backbone(images)[-1])
        return self.head(trunk), self.classification_head(trunk), trunk


class Released(nn.Module):

    def __init__(self, with_key=True, with_queue=True):
        super().__init__()
        self.model_q = Branch()
        if with_key:
            self.model_k = Branch()
        if with_queue:
            self.register_buffer('queue', F.normalize(torch.randn(D, QUEUE), dim=0))
            self.register_buffer('queue_ptr', torch.tensor([5]))
        for name, value in self.state_dict().items():
            if name.endswith('running_var') or value.dim() == 1 and name.endswith('weight'):
                nn.init.uniform_(value, 0.5, 1.5)
            elif name.endswith(('running_mean', 'bias')):
                nn.init.normal_(value, std=0.3)


def released_checkpoint(**kwargs):
    torch.manual_seed(0)
    model = nn.DataParallel(Released(**kwargs)).eval()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    return model, dict(model=model.state_dict(), optimizer=optimizer.state_dict(), epoch=40)


def test_maps_are_the_released_ones(tool, config, tmp_path, capsys):
    model, checkpoint = released_checkpoint()
    source, target = tmp_path / 'in.pth', tmp_path / 'out.pth'
    torch.save(checkpoint, source)
    tool('convert-maskcontrast', source, target, '--config', config)
    assert (f'wrote {target}: ResNet-18 (120 tensors), head (45), its key branch, queue of 12, epoch 40'
            in capsys.readouterr().out)
    ours = MODELS.build(load_config(config).model).eval()
    load_checkpoint(ours, str(target), strict=True)
    images = torch.randn(2, 3, 64, 80)
    with torch.no_grad():
        expected = model.module.model_q(images)
        trunk = ours.decode_head.trunk(ours.extract_feat(images))
        torch.testing.assert_close((*ours._query_branch()(images), trunk), expected)
        torch.testing.assert_close(ours.key_branch(images), model.module.model_k(images)[:2])
    assert torch.equal(ours.queue.prototypes, model.module.queue.t()) and int(ours.queue.pointer) == 5
    ours.start(is_new=True)  # training goes on from the key branch of the file
    with torch.no_grad():
        torch.testing.assert_close(ours.key_branch(images), model.module.model_k(images)[:2])
    meta = torch.load(target, weights_only=False)['meta']
    assert meta['epoch'] == 40 and meta['source'] == 'in.pth' and meta['dataset_meta']['classes'][1] == 'object'


@pytest.mark.parametrize('layout', ['bare', 'state_dict', 'no prefix'])
def test_without_key_branch_and_queue(tool, config, tmp_path, capsys, layout):
    model, checkpoint = released_checkpoint(with_key=False, with_queue=False)
    state = checkpoint['model']
    if layout == 'no prefix':
        state = {key.removeprefix('module.'): value for key, value in state.items()}
    state['module.model_q.backbone.fc.weight'] = torch.zeros(3)  # of ImageNet
    torch.save(dict(state_dict=state) if layout == 'state_dict' else state, tmp_path / 'in.pth')
    tool('convert-maskcontrast', tmp_path / 'in.pth', tmp_path / 'out.pth', '--config', config)
    assert 'no key branch (copied), no queue, epoch 0' in capsys.readouterr().out
    ours = MODELS.build(load_config(config).model).eval()
    load_checkpoint(ours, str(tmp_path / 'out.pth'))
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for maps in (ours._query_branch()(images), ours.key_branch(images)):
            torch.testing.assert_close(maps, model.module.model_q(images)[:2])
    assert int(ours.key_branch.steps) == 0


def broken(checkpoint, change):
    state = checkpoint['model']
    if change == 'foreign':
        return dict(state_dict={'encoder.weight': torch.zeros(1)})
    if change == 'name':
        state['module.model_q.decoder.7.weight'] = torch.zeros(1)
    elif change == 'missing':
        del state['module.model_q.decoder.0.convs.2.0.weight']
    elif change == 'shape':
        state['module.model_q.head.weight'] = torch.zeros(9, 16, 1, 1)
    elif change == 'queue':
        state['module.queue'] = torch.zeros(D, 20)
    return checkpoint


@pytest.mark.parametrize('change, message', [
    ('foreign', r'not a checkpoint of the released MaskContrast code: no tensor is named module.model_q'),
    ('name', 'the checkpoint holds model_q.decoder.7.weight, a name that the released MaskContrast code does not have'),
    ('missing', r"missing: \['decode_head.aspp.branches.2.conv.weight'\], unknown: none"),
    ('shape', r'decode_head.embedding.weight has shape \(9, 16, 1, 1\) in the checkpoint, but \(8, 16, 1, 1\)'),
    ('queue', 'a queue of 20 prototypes, but the config one of 12: give a --config with model.queue_length=20'),
])
def test_checkpoints_that_do_not_fit(tool, config, tmp_path, change, message):
    torch.save(broken(released_checkpoint()[1], change), tmp_path / 'in.pth')
    with pytest.raises(ValueError, match=message):
        tool('convert-maskcontrast', tmp_path / 'in.pth', tmp_path / 'out.pth', '--config', config)
    assert not (tmp_path / 'out.pth').exists()


def test_files_that_could_run_code_are_refused_by_name(tool, config, tmp_path):
    _, checkpoint = released_checkpoint()
    source, target = tmp_path / 'in.pth', tmp_path / 'out.pth'
    torch.save(dict(checkpoint, saved=datetime.date(2021, 2, 1), args=argparse.Namespace(p=1)), source)
    with pytest.raises(ValueError, match='wants to load datetime.date, .* If you trust the file, add --allow datetime'):
        tool('convert-maskcontrast', source, target, '--config', config)
    assert not target.exists()
    tool('convert-maskcontrast', source, target, '--config', config, '--allow', 'datetime.date')
    with pytest.raises(FileExistsError, match='is there already'):
        tool('convert-maskcontrast', source, target, '--config', config)
    tool('convert-maskcontrast', source, target, '--config', config, '--force', '--allow', 'datetime.date')
    assert sorted(os.listdir(tmp_path)) == ['in.pth', 'out.pth', 'small.py']
