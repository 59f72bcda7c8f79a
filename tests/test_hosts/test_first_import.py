"""mmengine is adapted as soon as it is there, whoever imports it first, and not before."""
import os
import subprocess
import sys

import pytest

from ..conftest import ROOT

ADAPTED = """
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.fileio.io import file_handlers
from mmengine.infer import BaseInferencer
from mmengine.runner import CheckpointLoader
assert all(hasattr(loader, 'is_safe') for loader in CheckpointLoader._schemes.values())
assert CheckpointLoader._schemes['torchvision://'].__wrapped__.__module__ == 'mmseg_unsup.hosts.published_weights'
modules = {type(handler).__module__ for suffix, handler in file_handlers.items() if suffix != 'json'}
assert modules == {'mmseg_unsup.hosts.safe_files'}
assert hasattr(BaseInferencer._init_model, 'is_safe') and MODULE2PACKAGE['mmseg_unsup'] == 'mmseg_unsup'
"""
# all that mmseg and mmcv import of themselves
MMSEG = 'import mmseg.models, mmseg.datasets\n'


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, '-c', code], env=dict(os.environ, PYTHONPATH=ROOT), text=True,
                          capture_output=True)


@pytest.mark.parametrize('first', [
    'import mmengine.runner, mmseg_unsup', 'import mmseg_unsup.hosts.safe_loading', 'import mmseg_unsup, mmseg.apis',
    'from mmseg_unsup import UnsupInferencer', 'import mmseg_unsup.datasets'
])
def test_mmengine_is_adapted(first):
    done = run(f'{first}\n{ADAPTED}{MMSEG}')
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


def test_nothing_is_imported_before():
    done = run('import sys, mmseg_unsup, mmseg_unsup.utils\n'
               "print({'torch', 'numpy', 'mmengine', 'mmcv', 'mmseg'} & {*sys.modules})")
    assert (done.stdout, done.stderr) == ('set()\n', '')


def test_what_a_package_prints_is_not_lost(tmp_path):
    """But for the one line."""
    (tmp_path / 'mmseg').mkdir()
    (tmp_path / 'mmseg' / '__init__.py').write_text('')
    (tmp_path / 'mmseg' / 'datasets.py').write_text("print('before')\nprint('Could not import OneDL')\nraise "
                                                    "KeyError(1)")
    done = run(f'import sys\nsys.path.insert(0, {str(tmp_path)!r})\n'
               'from mmseg_unsup.hosts.imports import quieten_imports\nquieten_imports()\nimport mmseg.datasets')
    assert done.stdout == 'before\n' and done.stderr.endswith('KeyError: 1\n')
