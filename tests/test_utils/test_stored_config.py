"""What a config in a checkpoint may name; tests/test_tools/test_payloads.py does it through the tools."""
import sys

import pytest

from mmseg_unsup.registry import MODELS
from mmseg_unsup.utils.config import load_config
from mmseg_unsup.utils.config_text import parse_config_text
from mmseg_unsup.utils.stack import check_mmpretrain
from mmseg_unsup.utils.stored_config import check_stored, read_stored_config
from ..conftest import ROOT
from ..test_apis.tiny_models import model_config


def stored(text: str) -> dict:
    return read_stored_config(dict(meta=dict(cfg=text)), 'a.pth')


@pytest.mark.parametrize('name', ['picie/picie_fpn_folder', 'iic/iic_fpn_cocostuff',
                                  'maskcontrast/maskcontrast_deeplabv3_folder_r18'])
def test_configs_of_the_package(name):
    cfg = load_config(f'{ROOT}/configs/{name}.py')
    found = stored(cfg.pretty_text)
    assert found['model']['backbone']['init_cfg'] is None
    expected = cfg.to_dict()
    expected['model'] = found['model']
    assert found == expected


@pytest.mark.parametrize('text, message', [
    ('', 'carries no config'),
    ('a = 1', 'carries no config of a model'),
    ('model = []', 'carries no config of a model'),
    ('model = dict(', 'is more than data, it is no list of assignments'),
    ('model = dict()\nimport os', "line 2 assigns no plain value: 'import os'"),
    ('a = 1\nmodel = dict(a=print(1))', "line 2 assigns no plain value: 'model = dict"),
    ('model = dict(**dict(type="ResNet"))', 'line 1 assigns'),
    ('model = {**{}}', 'line 1 assigns'),
    ('model = dict([("type", 1)])', 'line 1 assigns'),
    ('model, a = 1, 2', 'line 1 assigns'),
    ('a.b = 1', 'line 1 assigns'),
    ('a: int = 1', 'line 1 assigns'),
    ('a = b = 1', 'line 1 assigns'),
    ('a = [0] * 10**9', 'line 1 assigns'),
    ('a = [i for i in [1]]', 'line 1 assigns'),
    ('a = (lambda: 0)()', 'line 1 assigns'),
    ("a = f'{1}'", 'line 1 assigns'),
    ('a = {[]: 1}', 'line 1 assigns'),
    ("'text'", 'line 1 assigns'),
    ('a = "\0"', 'no list of assignments'),
    ('a = ' + '[' * 300 + ']' * 300, 'no list of assignments'),
    ('a = ' + '-' * 5000 + '1', '(no list of assignments|line 1 assigns)'),
])
def test_only_plain_values(text, message):
    with pytest.raises(ValueError, match=message):
        stored(text)


def test_no_config_at_all():
    for checkpoint in ({}, dict(meta=3), dict(meta={}), dict(meta=dict(cfg=b'a = 1')), dict(meta=dict(cfg=['a']))):
        with pytest.raises(ValueError, match='a.pth carries no config'):
            read_stored_config(checkpoint, 'a.pth')
    assert parse_config_text('a = 1\nimport os\nb = print(1)\nc = 2') == dict(a=1, c=2)  # weights load all the same


def with_part(key: str, **settings) -> dict:
    model = model_config('PiCIE')
    *parents, last = key.split('.')
    node = model
    for name in parents:
        node = node[name]
    node[last] = settings.get('only', settings)
    return model


@pytest.mark.parametrize('model, found', [
    (dict(type='os.system', command='ls'), "model.type='os.system', which is no type"),
    (dict(type='PiCIE'), "model.type='PiCIE'"),  # of mmseg_unsup, whose scope is no default
    (dict(type='PiCIE', _scope_='mmseg_unsup'), None),
    (dict(type='this'), "model.type='this'"),
    (dict(type='mmseg_unsup.utils.atomic.replacing'), 'no type'),
    (dict(type='mmseg.models.ResNet'), 'no type'),
    (dict(type='torch.nn.Linear'), 'no type'),
    (dict(type='.system'), 'no type'),
    (dict(type='os.'), 'no type'),
    (dict(type=''), 'no type'),
    (dict(type=3), 'model.type=3'),
    (dict(type=['os.system']), r"model.type=\['os.system'\]"),
    (dict(type='mmseg.MMSegInferencer'), 'no type'),  # a registered one, which executes the config of a checkpoint
    (dict(type='mmdet.ResNet'), 'no type'),
    (with_part('backbone.norm_cfg', type='subprocess.run'), "model.backbone.norm_cfg.type='subprocess.run'"),
    (with_part('backbone.plugins', only=[dict(cfg=dict(type='a.b'))]), "backbone.plugins.0.cfg.type='a.b'"),
    (with_part('backbone', type='ResNet', _scope_='evil'), "model.backbone._scope_='evil', which is none of"),
    (with_part('backbone', type='ResNet', _scope_=['evil']), r"_scope_=\['evil'\]"),
    (with_part('decode_head.loss_decode', type='CrossEntropyLoss', class_weight='http://a/b.pkl'),
     "class_weight='http://a/b.pkl', which looks like the name of a file"),
    (with_part('decode_head.loss_decode', type='CrossEntropyLoss', class_weight='b.pkl'), 'like the name of a file'),
    (with_part('backbone', type='VPD', diffusion_cfg=dict(config=dict(model=dict(target='os.system')))),
     "diffusion_cfg.config.model.target='os.system'"),
    (with_part('backbone', type='TIMMBackbone', model_name='hf-hub:a/b'), "model_name='hf-hub:a/b'"),
    (with_part('test_cfg', prior=dict(type='mmseg_unsup.ModelPrior', config='evil.py', checkpoint='a')),
     "test_cfg.prior.config='evil.py'"),
    (with_part('test_cfg', prior=dict(type='mmseg.MMSegInferencer', weights='a')), 'prior.type='),
])
def test_types_and_names(model, found):
    if found is None:
        check_stored(model, 'model', 'a.pth')
        return
    with pytest.raises(ValueError, match=f'the config that a.pth carries has .*{found}.*nothing was built'):
        stored(f'model = {model!r}')


def test_types_that_the_program_has_registered(monkeypatch):
    """A method of one's own is found where its module has been imported."""
    model = dict(type='mmseg_unsup.MyMethod')
    with pytest.raises(ValueError, match="model.type='mmseg_unsup.MyMethod', which is no type"):
        check_stored(model, 'model', 'a.pth')
    monkeypatch.setitem(MODELS.module_dict, 'MyMethod', object)
    check_stored(model, 'model', 'a.pth')


def test_backbones_of_mmpretrain():
    """Its other types include networks that load by name, with code of their own."""
    try:
        check_mmpretrain('VisionTransformer')
    except ImportError as error:
        pytest.skip(str(error))
    check_stored(with_part('backbone', type='mmpretrain.ConvNeXt', norm_cfg=dict(type='LN2d')), 'model', 'a.pth')
    for name in ('mmpretrain.ImageClassifier', 'mmpretrain.models.backbones.ConvNeXt', 'mmpretrain.Nothing'):
        with pytest.raises(ValueError, match=f'type={name!r}, which is no type'):
            check_stored(with_part('backbone', type=name), 'model', 'a.pth')


def test_backbones_of_an_mmpretrain_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, 'torchvision', None)
    with pytest.raises(ImportError, match='the backbone mmpretrain.ConvNeXt needs mmpretrain'):
        check_stored(with_part('backbone', type='mmpretrain.ConvNeXt'), 'model', 'a.pth')


def frozen(checkpoint, **settings) -> str:
    """A stored config of a frozen backbone with these weights."""
    init_cfg = dict(dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=checkpoint), **settings)
    network = dict(type='ResNet', depth=18, init_cfg=init_cfg)
    return (f'init = {checkpoint!r}\n'
            f'model = {with_part("backbone", type="mmseg_unsup.FrozenBackbone", backbone=network)!r}')


@pytest.mark.parametrize('checkpoint, expected', [
    ('torchvision://resnet18', None), ('open-mmlab://resnet50_v1c', None), ('weights/dino.pth', None),
    ('https://dl.fbaipublicfiles.com/dino/a.pth', None), ('C:/weights/dino.pth', None),
    ('http://evil.org/a/../../b.pth', 'hub/checkpoints/evil.org/b.pth'),
    ('https://download.pytorch.org.evil/models/a.pth', 'hub/checkpoints/download.pytorch.org.evil/models/a.pth'),
])
def test_weights_of_a_frozen_backbone(monkeypatch, checkpoint, expected):
    """The checkpoint does not hold them; nothing is fetched for it but what is known to be published."""
    monkeypatch.setattr('torch.hub.get_dir', lambda: 'hub')
    values = stored(frozen(checkpoint, prefix='backbone.', evil='os.system'))
    init_cfg = values['model']['backbone']['backbone']['init_cfg']
    assert init_cfg == dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=expected or checkpoint,
                            prefix='backbone.')
    assert values['init'] == init_cfg['checkpoint']


def test_other_weights_of_a_frozen_backbone():
    for checkpoint in ('s3://bucket/a.pth', '//machine/a.pth', 'x:s3://bucket/a.pth', 'petrel://a'):
        with pytest.raises(ValueError, match='init_cfg.checkpoint, and .* is neither a file nor published weights'):
            stored(frozen(checkpoint))
    for text in (frozen('a.pth', type='os.system'), frozen(['a.pth']), frozen('a.pth', type=['Pretrained'])):
        assert stored(text)['model']['backbone']['backbone']['init_cfg'] is None


@pytest.mark.parametrize('loader, found', [
    (dict(dataset=dict(type='os.system')), 'test_dataloader.dataset.type='),
    (dict(dataset=dict(dataset=dict(type='a.b'))), 'dataset.dataset.type='),
    (dict(sampler=dict(type='a.b')), 'sampler.type='),
    (dict(collate_fn=dict(type='os.system')), 'collate_fn.type='),
    (dict(worker_init_fn=dict(type='os.system')), 'worker_init_fn.type='),
    (dict(dataset=dict(pipeline=[dict(type='Albu', transforms=[dict(type='Lambda')])])), 'transforms.0.type='),
])
def test_loaders(loader, found):
    with pytest.raises(ValueError, match=found):
        stored(f'model = {model_config("PiCIE")!r}\ntest_dataloader = {loader!r}')


def test_what_is_not_built_is_not_looked_at():
    """Hooks, optimisers and modules to import are inert, and a scope of a package that we inherit from is known."""
    model = dict(model_config('PiCIE'), _scope_='mmseg', pretrained='http://a/b.pth')
    model['backbone']['init_cfg'] = dict(type='Pretrained', checkpoint='data/a.pth')
    text = (f"custom_imports = dict(imports=['evil'])\n_base_ = 'evil.py'\nmodel = {dict(model)!r}\n"
            "optim_wrapper = dict(optimizer=dict(type='torch.optim.AdamW'))\ncustom_hooks = [dict(type='a.b')]")
    found = stored(text)
    assert found['model']['pretrained'] is None and found['model']['backbone']['init_cfg'] is None
    assert found['custom_imports'] == dict(imports=['evil'])
