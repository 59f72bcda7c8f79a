"""What an installed package carries, and that references to it resolve."""
import functools
import glob
import importlib.metadata
import json
import os
import os.path as osp
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mmseg_unsup.utils import load_config
from mmseg_unsup.utils.stack import check_stack
from mmseg_unsup.version import __version__
from .conftest import NO_WORKERS, ROOT, copy_checkout, run_log
from .forks import run_script
from .test_commands.test_segment import command, write_discs
from .test_configs import CONFIGS


DOCUMENT = open(osp.join(ROOT, 'docs', 'mim.md'), encoding='utf-8').read()


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The unpacked wheel of the source distribution of this checkout."""
    return make_wheel(tmp_path_factory.getbasetemp())


@functools.lru_cache  # for several modules
def make_wheel(base):
    pytest.importorskip('setuptools')
    folder = base / 'wheel'
    copy_checkout(folder / 'checkout')
    shutil.unpack_archive(build(folder / 'checkout', 'sdist', folder / 'dist'), folder / 'sdist')
    source, = (folder / 'sdist').iterdir()
    shutil.unpack_archive(build(source, 'bdist_wheel', folder / 'dist'), folder / 'site', 'zip')
    return folder / 'site'


def build(source, command: str, folder) -> str:
    """Path of the distribution; setuptools has nothing to say of what is in it."""
    done = subprocess.run([sys.executable, 'setup.py', '-q', command, '-d', str(folder)], cwd=source, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    assert 'would be ignored' not in done.stdout and 'Editable installation' not in done.stdout
    return max(glob.glob(f'{folder}/*'), key=osp.getmtime)


def test_a_wheel_carries_configs_and_tools(wheel):
    mim = wheel / 'mmseg_unsup' / '.mim'
    for name in ('model-index.yml', 'configs/picie/picie_fpn_cocostuff.py', 'configs/picie/metafile.yml',
                 'configs/_base_/datasets/camvid.py', 'tools/train.py', 'tools/dist_train.sh',
                 'tools/dataset_converters/coco_stuff27.py'):
        assert (mim / name).is_file(), name
    for name in os.listdir(osp.join(ROOT, 'mmseg_unsup', 'visualization', 'page')):
        assert (wheel / 'mmseg_unsup' / 'visualization' / 'page' / name).is_file(), name
    assert not list(wheel.rglob('*.pyc'))
    assert not (wheel / 'tests').exists()


def test_metadata_of_the_wheel(wheel):
    distribution, = importlib.metadata.distributions(path=[str(wheel)])
    about = distribution.metadata
    assert (about['Name'], about['Version'], about['Requires-Python']) == ('mmseg-unsup', __version__, '>=3.10')
    assert about['License-Expression'] == 'Apache-2.0' and 'mmseg-unsup' in distribution.entry_points.names
    assert about['Description-Content-Type'] == 'text/markdown' and '](docs/' not in about.get_payload()
    assert (wheel / 'mmseg_unsup' / 'py.typed').is_file()
    # every file of requirements is an extra with what it lists, but what always is installed and what is for make
    needs = {name: set() for name in ('', *about.get_all('Provides-Extra'))}
    for requirement in map(Requirement, distribution.requires):
        extra = re.search(r'extra == "([\w-]+)"', str(requirement.marker))
        needs[extra[1] if extra else ''].add((requirement.name, str(requirement.specifier)))
    files = {path.stem: requirements_of(path) for path in Path(ROOT, 'requirements').glob('*.txt')}
    del files['constraints-cpu']
    files['tests'] = set().union(*map(files.get, ('tests', 'faiss', 'formats', 'geo', 'hub', 'onnx', 'safetensors')))
    assert {'': files.pop('runtime'), **files} == needs
    assert all('>=' in bounds for found in needs.values() for _, bounds in found)
    table = Path(ROOT, 'docs', 'install.md').read_text(encoding='utf-8').split('## Extras')[1].split('\n## ')[0]
    assert sorted(re.findall(r'^\| `([^`]+)` \|', table, re.M)) == sorted(files)


def requirements_of(path) -> set:
    lines = (line.split('#')[0].strip() for line in path.read_text().splitlines())
    return {(found.name, str(found.specifier)) for found in map(Requirement, filter(None, lines))}


def test_what_the_workflow_asks_of_an_installed_wheel(wheel, tmp_path):
    workflow = Path(ROOT, '.github', 'workflows', 'tests.yml').read_text(encoding='utf-8')
    code, = re.findall(r'/bin/python -c "(.*)"$', workflow, re.M)
    assert run_python(wheel, tmp_path, '-c', code).endswith('mmseg_unsup.PiCIE\n')


def run_python(wheel, folder, *arguments):
    """Run the interpreter where the package is that of the wheel, in a folder without the checkout."""
    done = subprocess.run([sys.executable, *arguments], cwd=folder, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=str(wheel)))
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return done.stdout


# One import for several scripts, each of which is a fork with its arguments.
SCRIPTS = '''
import json, os, os.path as osp, runpy, sys
from mmseg_unsup.utils import register_all_modules
register_all_modules()
for sys.argv[:] in json.loads(sys.argv[1]):
    child = os.fork()
    if child == 0:
        sys.path[0] = osp.dirname(sys.argv[0])
        runpy.run_path(sys.argv[0], run_name='__main__')
        break
    if os.waitpid(child, 0)[1]:
        sys.exit(f'{sys.argv} failed')
'''


def run_scripts(wheel, folder, *commands) -> None:
    """Run scripts with their arguments, one after the other, where the package is that of the wheel."""
    run_python(wheel, folder, '-c', SCRIPTS, json.dumps(commands))


TYPES = {'picie/picie_fpn_demo.py': 'PiCIE', 'picie/picie_h_fpn_camvid.py': 'PiCIE', 'mdc/mdc_fpn_camvid.py': 'MDC',
         'iic/iic_fpn_camvid.py': 'IIC', 'maskcontrast/maskcontrast_deeplabv3_folder_r18.py': 'MaskContrast',
         'probe/camvid_probes.py': 'PiCIE', 'finetune/fpn_r18_camvid.py': 'EncoderDecoder'}
EXAMPLE, = re.findall(r'```python\n(.*?)```', DOCUMENT, re.S)
# what is asked of the package of a wheel, in one process; the folder of the package and its child config are arguments
QUESTIONS = [
    (f'{EXAMPLE}print(mmseg_unsup.__file__, cfg.n_clusters, len(model.levels[0].sets))\n'
     'import sys\n'
     'from mmengine.config import Config\n'
     "print('inherited:', Config.fromfile(sys.argv[2]).n_clusters)\n"
     "print(get_config('mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py').model.type)"),
    # mmengine reads all metafiles at every call
    ('import functools, glob, sys, yaml, mmseg_unsup, mmengine.config.utils as utils\n'
     'from mmengine.hub import get_config\nutils.load = functools.lru_cache(utils.load)\n'
     "for path in glob.glob(f'{sys.argv[1]}/mmseg_unsup/.mim/configs/*/metafile.yml'):\n"
     "    for model in yaml.safe_load(open(path))['Models']:\n"
     "        path = model['Config'].removeprefix('configs/')\n"
     "        print(model['Config'], get_config('mmseg_unsup::' + path).model.type)"),
    ('import mmseg_unsup\nfrom mmengine.hub import get_model\n'
     f'for path in {list(TYPES)}:\n'
     "    model = get_model('mmseg_unsup::' + path)\n"
     '    print(path, type(model).__name__, sum(p.numel() for p in model.backbone.parameters()), sep=",")\n'
     'try:\n'
     "    get_model('mmseg_unsup::picie/picie_fpn_demo.py', pretrained=True)\n"
     'except AssertionError as error:\n'
     "    print('refused:', error)"),
]


@pytest.fixture
def answers(wheel):
    """What each of the questions printed."""
    return ask(wheel)


@functools.lru_cache
def ask(wheel):
    folder = wheel.parent / 'questions'
    folder.mkdir()
    (folder / 'child.py').write_text("_base_ = ['mmseg_unsup::picie/picie_fpn_camvid.py']\n")
    code = f"for code in {QUESTIONS!r}:\n    exec(code, {{}})\n    print('-' * 9)"
    printed = run_python(wheel, folder, '-c', code, str(wheel), str(folder / 'child.py')).split('-' * 9 + '\n')
    assert len(printed) == len(QUESTIONS) + 1
    return printed


def test_references_and_the_example_of_the_document_run_from_a_wheel(wheel, answers):
    assert f'{wheel}/mmseg_unsup/__init__.py 11 2\n' in answers[0]
    assert 'inherited: 11\n' in answers[0] and 'EncoderDecoder' in answers[0]


@pytest.mark.slow
def test_every_config_of_the_index_resolves_from_a_wheel(answers):
    found = dict(line.split() for line in answers[1].splitlines())
    assert found == {osp.relpath(path, ROOT): load_config(path).model.type for path in CONFIGS}


@pytest.mark.slow
def test_models_come_from_a_wheel_by_reference(answers):
    """`get_model` of every method; weights of its own has none yet, which it says."""
    built = re.findall(r'^(\S+\.py),(\w+),(\d+)$', answers[2], re.M)
    assert {path: name for path, name, _ in built} == TYPES
    assert {int(count) for path, _, count in built if 'camvid' in path} == {11_176_512}  # ResNet-18, no classifier
    assert 'refused: Cannot find `Weights`' in answers[2]


@pytest.mark.slow
def test_a_folder_is_segmented_from_a_wheel(wheel, tmp_path):
    """In a folder with nothing but photographs; in a file there are no bars and no control characters."""
    write_discs(tmp_path / 'My Photos')
    words = [*command('picie', 'My Photos', 'OUT'), 'train_dataloader.num_workers=2']
    done = subprocess.run([sys.executable, '-m', 'mmseg_unsup', 'segment', *map(str, words)], cwd=tmp_path, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=dict(os.environ, PYTHONPATH=str(wheel)))
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) <= 40, done.stdout
    assert all(line.isprintable() and len(line) <= 80 for line in lines), done.stdout
    assert lines[0] == '8 images in My Photos, 80x64 pixels' and lines[-3] == 'next:'
    assert sorted(os.listdir(tmp_path)) == ['My Photos', 'OUT']
    config = json.loads((tmp_path / 'OUT' / 'segment_folder.json').read_text())['settings']['config']
    assert config == 'mmseg_unsup::picie/picie_fpn_folder_small.py'
    assert len(list((tmp_path / 'OUT' / 'maps').rglob('*.png'))) == 8
    # the same folder goes on in a clone
    again = run_script(osp.join(ROOT, 'tools', 'segment_folder.py'), [*map(str, words)], cwd=tmp_path,
                       env=dict(os.environ, PYTHONPATH=ROOT))
    assert again.returncode == 0 and again.stdout.count('finished before') == 3


# `mim` with a small run of the demo
SMALL_DEMO = [
    *NO_WORKERS, 'train_dataloader.dataset.dataset.indices=16', 'probe_dataloader.dataset.dataset.indices=16',
    'val_dataloader.dataset.indices=8', 'test_dataloader.dataset.indices=8',
    'default_hooks.clustering.init_pixels=2000', 'default_hooks.fresh_kmeans.init_pixels=2000'
]


@pytest.mark.long
def test_mim_searches_trains_and_tests_from_a_wheel(wheel, tmp_path):
    """The commands of the document."""
    pytest.importorskip('mim', reason='openmim is not installed: it brings an old setuptools, rich and requests, so '
                        'give it an environment of its own')
    commands = [line.split()[1:] for line in DOCUMENT.splitlines() if line.startswith('mim ')]
    options = [['--cfg-options', *SMALL_DEMO] if command[0] in ('train', 'test') else [] for command in commands]
    by_config, by_model, *_ = (
        run_python(wheel, tmp_path, '-m', 'mim', *command, *more) for command, more in zip(commands, options))
    for line in ('epochs 5', 'batch_size 16', 'training_data camvid', 'weights_seen imagenet labels', 'model picie',
                 'camvid/aacc 61.0', 'camvid/miou 28.0', 'config configs/picie/picie_fpn_camvid.py'):
        assert line in ' '.join(by_config.split()), line
    assert 'picie_h_fpn_camvid' in by_model and 'msrc' not in by_model and 'mdc' not in by_model
    log = run_log(tmp_path / 'work_dirs' / 'picie_fpn_demo')
    trained = re.findall(r'Epoch\(val\) \[8\].*? mIoU: ([\d.]+) ', log)
    assert re.findall(r'Epoch\(test\).*? mIoU: ([\d.]+) ', log) == trained != []


def test_an_editable_install_links_configs_and_tools(tmp_path):
    """`pip install -e .` runs the command editable_wheel, under which setup.py must make the links."""
    copy_checkout(tmp_path / 'checkout')

    def links_of(command: str) -> list:
        build(tmp_path / 'checkout', command, tmp_path / 'dist')
        paths = [tmp_path / 'checkout' / 'mmseg_unsup' / '.mim' / name
                 for name in ('configs', 'tools', 'model-index.yml')]
        assert all(osp.exists(path) for path in paths)
        return [path.is_symlink() and osp.samefile(path, tmp_path / 'checkout' / path.name) for path in paths]

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
