"""mmseg-unsup convert-picie on checkpoints that are made like those of the released code."""
import argparse
import os
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from mmengine.runner import load_checkpoint
from mmseg.apis import inference_model, init_model
from mmseg.models.backbones import ResNet
from torch import nn

from mmseg_unsup.registry import MODELS
from mmseg_unsup.hosts import safe_loading
from mmseg_unsup.utils import load_config
from ..conftest import NO_WORKERS, ROOT, run_tool
from .test_train_and_test import coco_root, config, write_curated_lists  # noqa: F401

TOOL = 'model_converters/picie_official.py'
PARITY = config('picie_fpn_cocostuff_parity')
N_CLUSTERS, CHANNELS = 27, 128


class Decoder(nn.Module):
    """The released decoder by its description: ``layer1`` reads the coarsest level."""

    def __init__(self, widths, channels):
        super().__init__()
        for i, width in enumerate(reversed(widths)):
            self.add_module(f'layer{i + 1}', nn.Conv2d(width, channels, 1))

    def forward(self, levels):
        out = None
        for i, level in enumerate(reversed(levels)):
            lateral = self.get_submodule(f'layer{i + 1}')(level)
            if out is not None:
                lateral = lateral + F.interpolate(out, lateral.shape[-2:], mode='bilinear', align_corners=False)
            out = lateral
        return out


class Released(nn.Module):
    """Backbone and decoder under the released names, random down to the running statistics."""

    def __init__(self, depth=18, channels=CHANNELS):
        super().__init__()
        self.backbone = ResNet(depth, norm_cfg=dict(type='BN'))  # mmseg names its tensors as torchvision does
        self.decoder = Decoder([width * (4 if depth >= 50 else 1) for width in (64, 128, 256, 512)], channels)
        for name, value in self.state_dict().items():
            if name.endswith('running_var') or 'bn' in name and name.endswith('weight'):
                nn.init.uniform_(value, 0.5, 1.5)
            elif name.endswith(('running_mean', 'bias')):
                nn.init.normal_(value, std=0.3)

    def forward(self, images):
        return self.decoder(self.backbone(images))


def released_parts(depth=18, n_clusters=N_CLUSTERS):
    torch.manual_seed(0)
    model = nn.DataParallel(Released(depth)).eval()
    classifiers = [nn.DataParallel(nn.Conv2d(CHANNELS, n_clusters, 1)) for _ in range(2)]
    for classifier in classifiers:
        nn.init.normal_(classifier.module.weight, std=CHANNELS**-0.5)
        nn.init.zeros_(classifier.module.bias)
    return model, classifiers


def released_checkpoint(model, classifiers, **extra):
    """What train_picie.py saves; MDC has one classifier."""
    optimizer = torch.optim.Adam(model.parameters())
    args = argparse.Namespace(arch='resnet18', K_train=N_CLUSTERS, lr=1e-4, augment=True, **extra)
    checkpoint = dict(epoch=10, args=args, state_dict=model.state_dict(), optimizer=optimizer.state_dict())
    checkpoint.update({f'classifier{v + 1}_state_dict': x.state_dict() for v, x in enumerate(classifiers)})
    return checkpoint


@pytest.fixture(scope='module')
def parts():
    return released_parts()


@pytest.fixture
def checkpoint(parts):
    return released_checkpoint(*parts)


def save(checkpoint, path, **kwargs):
    torch.save(checkpoint, path, **kwargs)
    return str(path)


def test_features_and_cluster_maps_are_the_released_ones(parts, checkpoint, tmp_path):
    source, target = save(checkpoint, tmp_path / 'in.pth.tar'), tmp_path / 'out.pth'
    done = run_tool(TOOL, source, target)
    assert f'wrote {target}: ResNet-18 (120 tensors), 2 x 27 prototypes, epoch 10' in done.stdout
    cfg = load_config(PARITY)
    cfg.model.test_cfg.cluster_sets = ['view1', 'view2']
    ours = MODELS.build(cfg.model).eval()
    load_checkpoint(ours, str(target), strict=True)
    released, classifiers = parts
    images = torch.randn(2, 3, 72, 96)
    with torch.no_grad():
        expected = released.module(images)
        for extract in (ours.extract_feat, ours.target_generator.extract):
            torch.testing.assert_close(extract(images)[0], expected, rtol=1e-4, atol=1e-4)
        unit = F.normalize(expected, dim=1)
        scores = torch.cat([
            F.interpolate(classifier.module(unit), (72, 96), mode='bilinear', align_corners=False)
            for classifier in classifiers], 1)
        got = ours.encode_decode(images, [dict(img_shape=(72, 96))])
    torch.testing.assert_close(got, scores, rtol=1e-4, atol=1e-5)
    for theirs, mine in zip(scores.split(N_CLUSTERS, 1), got.split(N_CLUSTERS, 1)):
        top = theirs.topk(2, 1).values
        decided = (top[:, 0] - top[:, 1]) > 1e-4  # the rest are ties
        assert decided.float().mean() > 0.99 and len(theirs.argmax(1).unique()) > 3
        assert torch.equal(theirs.argmax(1)[decided], mine.argmax(1)[decided])
    assert torch.equal(ours.levels[0].class_weights, torch.ones(2, N_CLUSTERS))
    assert ours.clusters.default == 'view1'


def test_the_file_tests_and_predicts(checkpoint, coco_root, tmp_path):  # noqa: F811
    source, target = save(checkpoint, tmp_path / 'in.pth.tar'), str(tmp_path / 'out.pth')
    run_tool(TOOL, source, target)
    write_curated_lists(coco_root)
    options = [*NO_WORKERS, f'data_root={coco_root}', 'size=32', 'probe_dataloader.batch_size=2',
               'test_dataloader.batch_size=2']
    log = run_tool('test.py', PARITY, target, '--work-dir', tmp_path / 'test', '--verbose', '--cfg-options',
                   *options).stdout
    assert 'missing keys' not in log and 'unexpected key' not in log
    assert 'fresh k-means: loss' in log and 'view1/aAcc' in log and 'view2/mIoU' in log

    model = init_model(PARITY, target, device='cpu', cfg_options={'model.test_cfg.cluster_sets': ['view1']})
    meta = model.dataset_meta
    assert meta['classes'] == [f'cluster {k}' for k in range(27)] and len(meta['palette']) == 27
    image = str(coco_root / 'images' / 'val2017' / f'{1:012d}.jpg')
    model.cfg.test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]
    assert inference_model(model, image).pred_sem_seg.data.shape == (1, 401, 400)


class Runs:
    """Unpickles by calling ``function(*args)``."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('function, args, named', [
    (os.system, ('touch {}',), r'(posix|nt)\.system'),
    (open, ('{}', 'w'), r'_?io\.open'),
    (exec, ("open('{}', 'w')",), 'exec'),
    (getattr, ('{}', 'upper'), 'getattr'),
])
def test_a_malicious_file_does_not_run(tool, tmp_path, checkpoint, function, args, named, zipped):
    """Not even by what another package has declared safe in this process, as mmengine does with getattr."""
    trace = tmp_path / 'trace'
    checkpoint['optimizer'] = Runs(function, *(arg.format(trace) for arg in args))
    source = save(checkpoint, tmp_path / 'evil.pth.tar', _use_new_zipfile_serialization=zipped)
    with safe_loading._only_safe_globals([getattr, open]):
        before = set(torch.serialization.get_safe_globals())
        assert before == {getattr, open}
        message = rf'evil.pth.tar wants to load (?:builtins.)?{named}, .*nothing was loaded.*--allow'
        with pytest.raises(ValueError, match=message):
            tool('convert-picie', source, tmp_path / 'out.pth')
        assert set(torch.serialization.get_safe_globals()) == before
    assert not trace.exists() and not (tmp_path / 'out.pth').exists()


def test_a_trusted_global_can_be_allowed(tool, tmp_path, parts):
    source, target = save(released_checkpoint(*parts, scale=Fraction(1, 2)), tmp_path / 'in.pth.tar'), tmp_path / 'out'
    with pytest.raises(ValueError, match=r'wants to load fractions.Fraction, .* add --allow fractions.Fraction$'):
        tool('convert-picie', source, target)
    with pytest.raises(ValueError, match='--allow fractions.Fracture: there is no such thing'):
        tool('convert-picie', source, target, '--allow', 'fractions.Fracture')
    tool('convert-picie', source, target, '--allow', 'fractions.Fraction')
    assert set(torch.load(target, weights_only=True)) == {'meta', 'state_dict'}


def test_the_format_before_torch_1_6(tool, tmp_path, checkpoint):
    source = save(checkpoint, tmp_path / 'in.pth.tar', _use_new_zipfile_serialization=False)
    tool('convert-picie', source, tmp_path / 'out.pth')
    state = torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict']
    assert torch.equal(state['neck.laterals.0.weight'], checkpoint['state_dict']['module.decoder.layer4.weight'])
    bias = checkpoint['state_dict']['module.decoder.layer1.bias']
    assert torch.equal(state['target_generator.neck.laterals.3.bias'], bias)


def test_not_a_checkpoint(tool, tmp_path, checkpoint):
    out = tmp_path / 'out.pth'
    (tmp_path / 'text').write_text('hello')
    with pytest.raises(ValueError, match='text cannot be read as a checkpoint'):
        tool('convert-picie', tmp_path / 'text', out)
    with pytest.raises(FileNotFoundError, match='nowhere'):
        tool('convert-picie', tmp_path / 'nowhere', out)
    with pytest.raises(ValueError, match='it has no state_dict and no classifier1_state_dict'):
        tool('convert-picie', save([1], tmp_path / 'list'), out)
    del checkpoint['classifier1_state_dict']
    with pytest.raises(ValueError, match='it has no classifier1_state_dict'):
        tool('convert-picie', save(checkpoint, tmp_path / 'none'), out)
    assert not out.exists()


def test_missing_and_unknown_tensors(tool, tmp_path, checkpoint):
    state = checkpoint['state_dict']
    kept = state.pop('module.decoder.layer2.bias')
    with pytest.raises(ValueError, match=r"missing: \['neck.laterals.2.bias', 'target_generator.neck.*unknown: none"):
        tool('convert-picie', save(checkpoint, tmp_path / 'in'), tmp_path / 'out')
    state.update({'module.decoder.layer2.bias': kept, 'module.backbone.fc.bias': kept})
    with pytest.raises(ValueError, match=r"missing: none, unknown: \['backbone.fc.bias'"):
        tool('convert-picie', save(checkpoint, tmp_path / 'in'), tmp_path / 'out')
    del state['module.backbone.fc.bias']
    state['module.decoder.layer2.bias'] = kept[:5]
    with pytest.raises(ValueError, match=r'laterals.2.bias has shape \(5,\) in the checkpoint, but \(128,\)'):
        tool('convert-picie', save(checkpoint, tmp_path / 'in'), tmp_path / 'out')


@pytest.mark.parametrize('depth', [34, 50])
def test_another_depth(tool, tmp_path, depth):
    source = save(released_checkpoint(*released_parts(depth)), tmp_path / 'in')
    with pytest.raises(ValueError, match=f'holds a ResNet-{depth}, but the config builds a ResNet-18: .*depth={depth}'):
        tool('convert-picie', source, tmp_path / 'out')


def child_config(tmp_path, text):
    path = tmp_path / 'child.py'
    path.write_text(f"_base_ = ['{PARITY}']\n{text}\n")
    return path


def test_another_number_of_clusters(tool, tmp_path):
    source = save(released_checkpoint(*released_parts(n_clusters=15)), tmp_path / 'in')
    with pytest.raises(ValueError, match='has 15 clusters, but the config is for 27: .* n_clusters=15'):
        tool('convert-picie', source, tmp_path / 'out')
    tool('convert-picie', source, tmp_path / 'out', '--config', child_config(tmp_path, 'n_clusters = 15'))


def test_one_view(tool, tmp_path, parts, capsys):
    """MDC: one classifier, which has a bias where it was learnt."""
    model, classifiers = parts
    checkpoint = released_checkpoint(model, classifiers[:1])
    source = save(checkpoint, tmp_path / 'in')
    with pytest.raises(ValueError, match=r'has 1 classifier \(PiCIE .*, MDC with one\), .* for 2 views: give a '
                       r'--config'):
        tool('convert-picie', source, tmp_path / 'out')
    one_view = f'{ROOT}/configs/mdc/mdc_fpn_cocostuff.py'
    tool('convert-picie', source, tmp_path / 'out', '--config', one_view)
    assert '1 x 27 prototypes' in capsys.readouterr().out
    checkpoint['classifier1_state_dict']['module.bias'] = torch.ones(N_CLUSTERS)
    source = save(checkpoint, tmp_path / 'biased')
    with pytest.raises(ValueError, match='classifier1_state_dict has a bias, as the learnt classifier of MDC'):
        tool('convert-picie', source, tmp_path / 'out2', '--config', one_view)
    tool('convert-picie', source, tmp_path / 'out2', '--config', one_view, '--drop-bias')
    prototypes = torch.load(tmp_path / 'out2', weights_only=True)['state_dict']['decode_head.clusters.view1.weight']
    assert torch.equal(prototypes, classifiers[0].module.weight.detach().flatten(1))


def test_nothing_is_overwritten_or_left_half_written(tool, monkeypatch, tmp_path, checkpoint):
    source, target = save(checkpoint, tmp_path / 'in'), tmp_path / 'out'
    target.write_text('precious')
    with pytest.raises(FileExistsError, match='out is there already: .*--force'):
        tool('convert-picie', source, target)
    monkeypatch.setattr('os.replace', lambda *_: (_ for _ in ()).throw(OSError('disk full')))
    with pytest.raises(OSError, match='disk full'):
        tool('convert-picie', source, target, '--force')
    assert target.read_text() == 'precious' and sorted(os.listdir(tmp_path)) == ['in', 'out']
    monkeypatch.undo()
    tool('convert-picie', source, target, '--force')
    assert 'state_dict' in torch.load(target, weights_only=True)
    assert sorted(os.listdir(tmp_path)) == ['in', 'out']
