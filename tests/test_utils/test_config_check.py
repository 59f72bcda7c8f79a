"""What a runner would stumble over is refused by key and value; what configs legitimately do is not."""
import glob
import os.path as osp

import mmseg
import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmseg.models.backbones import ResNet

from mmseg_unsup.registry import HOOKS
from mmseg_unsup.utils.config import load_config
from mmseg_unsup.utils.config_check import check_config
from mmseg_unsup.utils.registered import found_types, parameters_of, similar_types
from ..conftest import ROOT

OURS = sorted(path for path in glob.glob(osp.join(ROOT, 'configs', '*', '*.py')) if '_base_' not in path)
STOCK = osp.join(osp.dirname(mmseg.__file__), '.mim', 'configs')
# one of each folder; mmdet and mmpretrain are other packages
OF_MMSEG = [sorted(glob.glob(osp.join(folder, '*.py')))[0] for folder in sorted(glob.glob(osp.join(STOCK, '[!_]*')))
            if glob.glob(osp.join(folder, '*.py'))]
CAMVID = f'{ROOT}/configs/picie/picie_fpn_camvid.py'


def name(path):
    return osp.splitext(osp.basename(path))[0]


@pytest.mark.parametrize('path', OURS + OF_MMSEG, ids=name)
def test_configs_that_are_right(path):
    try:
        cfg = load_config(path)
    except ImportError as error:
        pytest.skip(str(error))
    trains = cfg.model.type != 'mmseg_unsup.FrozenSegmentor'
    for stages in (('train', 'val'), ('test', )) if trains else (('test', ), ):
        try:
            check_config(cfg, stages)
        except ImportError as error:
            assert 'mmpretrain' in str(error) or 'is of the package mmdet, which is not installed' in str(error)


class OwnHook(Hook):
    """Built from its class."""

    def __init__(self, steps: int = 1) -> None:
        self.steps = steps


def passes_all(scope: str, **kwargs):
    """A function may stand in a config."""


@pytest.mark.parametrize('options', [
    {'custom_hooks': [dict(type=OwnHook, steps=3), OwnHook()]}, {'default_hooks.mine': None},
    {'model.backbone': dict(type=ResNet, depth=18)}, {'model.backbone': dict(type='mmseg.ResNet', depth=18)},
    {'model.backbone': dict(type='ResNet', _scope_='mmseg', depth=18)},
    {'model.backbone': dict(type='mmseg.models.backbones.ResNet', depth=18, anything=3)},
    {'model.backbone.norm_cfg': dict(type='GN', num_groups=8, requires_grad=True)},
    {'model.backbone.conv_cfg': dict(type='Conv2dAdaptivePadding')},
    {'train_dataloader.collate_fn': dict(type=passes_all)},
    {'optim_wrapper.constructor': 'LearningRateDecayOptimizerConstructor', 'optim_wrapper.paramwise_cfg': dict(a=1)},
    {'param_scheduler': dict(type='PolyLR', convert_to_iter_based=True, eta_min=0)},
    {'default_hooks.checkpoint': dict(type='CheckpointHook', priority=40, interval=-1, file_client_args=None)},
    {'val_dataloader': None, 'val_cfg': None, 'val_evaluator': None},
    {'train_dataloader.dataset.dataset.indices': [0, 2]},
    {'model.neck.init_cfg': [dict(type='Xavier', layer='Conv2d'), dict(type='Constant', override=dict(name='a'))]},
])
def test_what_configs_may_do(options):
    cfg = load_config(CAMVID)
    cfg.merge_from_dict(options, allow_list_keys=True)
    check_config(cfg, ('train', 'val'))


def test_types_of_a_scope_of_the_user(tmp_path):
    """Whoever brings a registry of his own is not second-guessed."""
    cfg = load_config(CAMVID)
    cfg.default_scope = 'mmcv'
    cfg.model.backbone.type = 'SomethingOfTheirs'
    check_config(cfg, ('train', ))
    cfg = load_config(CAMVID)
    cfg.model.backbone.type = 'numpy.ndarray'
    check_config(cfg, ('train', ))


def test_hooks_that_custom_imports_register():
    HOOKS.register_module(name='HookOfATest', module=OwnHook, force=True)
    try:
        cfg = load_config(CAMVID)
        cfg.custom_hooks = [dict(type='mmseg_unsup.HookOfATest', steps=3)]
        check_config(cfg, ('train', ))
        cfg.custom_hooks = [dict(type='mmseg_unsup.HookOfATest', stesp=3)]
        with pytest.raises(ValueError, match="^custom_hooks.0 has stesp=3, but mmseg_unsup.HookOfATest takes no "
                           "'stesp': did you mean steps"):
            check_config(cfg, ('train', ))
        cfg.custom_hooks = [dict(type='mmseg_unsup.HokOfATest')]
        with pytest.raises(ValueError, match='did you mean mmseg_unsup.HookOfATest'):
            check_config(cfg, ('train', ))
    finally:
        HOOKS._module_dict.pop('HookOfATest')


def test_parts_of_other_stages_are_not_looked_at():
    cfg = load_config(CAMVID)
    cfg.test_evaluator = dict(type='OfNobody')
    check_config(cfg, ('train', 'val'))
    with pytest.raises(ValueError, match="^test_evaluator.type='OfNobody' is no type that is registered: check its "
                       "name, "
                       'or name the module'):
        check_config(cfg, ('test', ))


def test_a_config_of_python_without_a_file():
    with pytest.raises(ValueError, match='^the config has no model'):
        check_config(Config(dict(train_cfg=dict())), ('train', ))


class Base:

    def __init__(self, a, **kwargs):
        pass


class Keeps(Base):

    def __init__(self, b, *args, **kwargs):
        super().__init__(1)
        self.rest = kwargs


class HandsOn(Base):

    def __init__(self, c, **kwargs) -> None:
        super().__init__(dict(x=1).get('x'), **kwargs)


class Plain(HandsOn):
    pass


def test_arguments_of_classes():
    assert parameters_of(ResNet) >= {'depth', 'init_cfg'} and parameters_of(Plain) is None
    assert parameters_of(Keeps) is None and parameters_of(Keeps, strict=True) == {'a', 'b'}
    assert parameters_of(OwnHook) == {'steps'} and parameters_of(dict) is None


def test_names():
    assert found_types('mmseg_unsup.PiCIE') and found_types('PiCIE', ('mmengine', 'mmseg')) == []
    assert found_types('no_such_package.Net') == [] and found_types('numpy.ndarray') is None
    assert similar_types('PiCEI') == ['mmseg_unsup.PiCIE'] and similar_types('') == []
