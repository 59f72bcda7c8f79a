"""What an installed package carries, and that references to it resolve."""
import os
import os.path as osp
import subprocess
import sys
import zipfile

import pytest

from mmseg_unsup.utils.stack import check_stack
from .conftest import ROOT


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The unpacked wheel of the files that git tracks."""
    pytest.importorskip('setuptools')
    source, target = tmp_path_factory.mktemp('source'), tmp_path_factory.mktemp('wheel')
    names = subprocess.run(['git', 'ls-files'], cwd=ROOT, text=True, capture_output=True).stdout.split()
    if not names:
        pytest.skip('not a git checkout')
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(open(osp.join(ROOT, name), 'rb').read())
    subprocess.run([sys.executable, 'setup.py', '-q', 'bdist_wheel', '-d', str(target)], cwd=source, check=True,
                   capture_output=True)
    path, = target.glob('*.whl')
    with zipfile.ZipFile(path) as archive:
        archive.extractall(target / 'site')
    return target / 'site'


def test_a_wheel_carries_configs_and_tools(wheel):
    mim = wheel / 'mmseg_unsup' / '.mim'
    for name in ('model-index.yml', 'configs/picie/picie_fpn_cocostuff.py', 'configs/picie/metafile.yml',
                 'configs/_base_/datasets/camvid.py', 'tools/train.py', 'tools/dist_train.sh',
                 'tools/dataset_converters/coco_stuff27.py'):
        assert (mim / name).is_file(), name
    for suffix in ('html', 'css', 'js'):
        assert (wheel / 'mmseg_unsup' / 'visualization' / 'page' / f'gallery.{suffix}').is_file()
    assert not list(wheel.rglob('*.pyc'))
    assert not (wheel / 'tests').exists()


def test_references_resolve_from_a_wheel(wheel, tmp_path):
    config = tmp_path / 'child.py'
    config.write_text("_base_ = ['mmseg_unsup::picie/picie_fpn_camvid.py']\n")
    code = ('import mmseg_unsup; from mmengine.config import Config; from mmengine.hub import get_config, get_model;'
            f'print(mmseg_unsup.__file__, Config.fromfile({str(config)!r}).n_clusters);'
            "print(type(get_model('mmseg_unsup::picie/picie_fpn_demo.py')).__name__);"
            "print(get_config('mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py').model.type)")
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=str(wheel)))
    assert done.returncode == 0, done.stderr
    assert str(wheel) in done.stdout and ' 11\n' in done.stdout and 'PiCIE\n' in done.stdout
    assert 'EncoderDecoder' in done.stdout


def test_an_editable_install_links_configs_and_tools(tmp_path):
    """`pip install -e .` runs the command editable_wheel, under which setup.py must make the links."""
    for name in ('setup.py', 'README.md', 'model-index.yml'):
        (tmp_path / name).write_bytes(open(osp.join(ROOT, name), 'rb').read())
    for name in ('configs', 'tools', 'requirements', 'mmseg_unsup'):
        (tmp_path / name).mkdir()

    def links_of(command: str) -> list:
        code = f"import sys; sys.argv = ['setup.py', {command!r}]; import setup\nwith setup.mim_extension(): pass"
        subprocess.run([sys.executable, '-c', code], cwd=tmp_path, check=True)
        paths = [tmp_path / 'mmseg_unsup' / '.mim' / name for name in ('configs', 'tools', 'model-index.yml')]
        assert all(osp.exists(path) for path in paths)
        return [path.is_symlink() and osp.samefile(path, tmp_path / path.name) for path in paths]

    assert links_of('bdist_wheel') == [False] * 3
    assert links_of('editable_wheel') == [True] * 3
    assert links_of('bdist_wheel') == [True] * 3  # building a wheel leaves an editable install as it was


def fake_installation(monkeypatch, distributions, modules=('torch', 'mmengine', 'mmcv', 'mmseg')):
    import mmseg_unsup.utils.stack as stack
    monkeypatch.setattr(stack, '_is_installed', lambda name: name in distributions)
    monkeypatch.setattr(stack, 'find_spec', lambda name: name if name in modules else None)


def test_the_stack_of_this_environment_is_coherent(recwarn):
    assert set(check_stack().values()) <= {'onedl', 'openmmlab'}
    assert not [warning for warning in recwarn if 'mmseg-unsup' in str(warning.message)]


def test_a_missing_host_package_is_named(monkeypatch):
    fake_installation(monkeypatch, [], modules=('torch', 'mmengine'))
    with pytest.raises(ImportError, match=r'needs mmcv, mmseg, .*pip install "mmseg-unsup\[onedl\]"'):
        check_stack()


def test_doubled_and_mixed_host_packages_are_named(monkeypatch):
    fake_installation(monkeypatch, ['onedl-mmengine', 'mmengine', 'onedl-mmcv', 'onedl-mmsegmentation'])
    with pytest.warns(UserWarning, match='onedl-mmengine and mmengine are both installed and both provide'):
        check_stack()
    fake_installation(monkeypatch, ['onedl-mmengine', 'mmcv', 'onedl-mmsegmentation'])
    with pytest.warns(UserWarning, match='mixed .mmengine from onedl, mmcv from openmmlab, mmseg from onedl'):
        check_stack()
