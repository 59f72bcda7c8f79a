"""A torchvision that cannot be imported counts as absent, with one warning; one that can is left alone."""
import importlib
import os
import subprocess
import sys
import warnings
from importlib.metadata import distributions
from importlib.util import find_spec

import pytest
from mmengine.utils.dl_utils import collect_env

from mmseg_unsup.hosts import imports
from mmseg_unsup.utils.stack import check_mmpretrain
from ..conftest import ROOT
from ..mmpretrain_pair import importable_pair
from ..test_engine.tiny import tiny_runner

MISFITS = {
    'operator torchvision::nms does not exist': "raise RuntimeError('operator torchvision::nms does not exist')",
    '_C.so: undefined symbol: _ZN5torch': "raise ImportError('_C.so: undefined symbol: _ZN5torch')",
    'libcudart.so.13: cannot open': "raise OSError('libcudart.so.13: cannot open shared object file')",
    "No module named 'PIL_of_old'": 'import PIL_of_old',
    'AssertionError': 'assert False',
}


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Writes a torchvision of one statement, which has imported a module of its own before."""
    monkeypatch.setattr(imports, '_reason', None)
    monkeypatch.syspath_prepend(str(tmp_path / 'site'))

    def write(statement: str) -> str:
        (tmp_path / 'site' / 'torchvision').mkdir(parents=True)
        (tmp_path / 'site' / 'torchvision' / 'ops.py').write_text('')
        (tmp_path / 'site' / 'torchvision' / '__init__.py').write_text(f'from . import ops\n{statement}\n')
        importlib.invalidate_caches()
        return str(tmp_path / 'site')

    yield write
    for name in [name for name in sys.modules if name.split('.')[0] == 'torchvision']:
        del sys.modules[name]


@pytest.mark.parametrize('reason', MISFITS)
def test_a_misfit_is_absent_with_one_warning(fake, reason):
    fake(MISFITS[reason])
    with pytest.warns(UserWarning, match='counts as absent') as warned:
        assert 'TorchVision' not in collect_env()
    assert 'TorchVision' not in collect_env()
    message, = [str(warning.message) for warning in warned if 'torchvision' in str(warning.message)]
    assert f'({reason}' in message and 'counts as absent; only backbones of mmpretrain need it: uninstall' in message
    for name in ('torchvision', 'torchvision.ops', 'torchvision.models'):
        with pytest.raises(ModuleNotFoundError, match='torchvision'):
            importlib.import_module(name)
    with pytest.raises(ImportError, match=f'mmpretrain.ResNet needs mmpretrain and a torchvision .*{reason}'):
        check_mmpretrain('mmpretrain.ResNet')


def test_a_run_beside_a_misfit(fake, image_folder, tmp_path):
    fake(MISFITS['operator torchvision::nms does not exist'])
    with pytest.warns(UserWarning, match='counts as absent'):
        tiny_runner(image_folder, tmp_path / 'run').train()
    assert (tmp_path / 'run' / 'epoch_1.pth').is_file()


def test_one_that_fits_is_left_alone(fake):
    fake("__version__ = '0.99'")
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert collect_env()['TorchVision'] == '0.99'
        assert importlib.import_module('torchvision.ops').__name__ == 'torchvision.ops'


def test_importing_the_package_says_nothing(fake):
    """In a process of its own: the warning comes with the first import of torchvision, on one line."""
    code = ("import sys, mmseg_unsup\nprint('imported', file=sys.stderr)\n"
            'from mmengine.utils.dl_utils import collect_env\ncollect_env(), collect_env()')
    env = dict(os.environ, PYTHONPATH=f'{ROOT}{os.pathsep}{fake(MISFITS["AssertionError"])}', PYTHONWARNINGS='default')
    done = subprocess.run([sys.executable, '-c', code], env=env, text=True, capture_output=True, check=True)
    before, after = done.stderr.split('imported\n')
    assert 'mmseg_unsup' not in before and 'torchvision' not in before
    assert after.count('UserWarning: the installed torchvision') == 1


@pytest.mark.skipif(bool({'torchvision', 'mmpretrain', 'onedl-mmpretrain'} & {dist.name for dist in distributions()}),
                    reason='the environment has one of its own')
def test_the_other_tests_see_no_torchvision():
    def seen():
        return [name for name in ('torchvision', 'mmpretrain')
                if find_spec(name) or any(key.split('.')[0] == name for key in sys.modules)]

    assert not seen()
    with importable_pair():
        import torchvision
        assert torchvision.models.resnet18 and find_spec('mmpretrain')
    assert not seen()
    with importable_pair():
        assert sys.modules['torchvision'] is torchvision
