"""Whatever a stranger does wrong is told in one sentence that helps, with status 2; nothing of theirs is touched."""
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.visualization import Visualizer
from mmseg.visualization import SegLocalVisualizer

from mmseg_unsup.commands import COMMANDS, main
from mmseg_unsup.structures import ClusterNames
from ..conftest import ROOT, write_images
from ..forks import run_script
from ..test_apis.tiny_models import tiny_model
from ..test_engine.tiny import tiny_config
from ..test_models.test_dino_vit import random_vit
from . import mistakes

# what a command may write to; all else in the place is the stranger's
OWN = ('work', 'masks', 'page.html', 'page.pdf')


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """Photographs, a config, a checkpoint of it, and whatever can be taken for one of them."""
    folder = tmp_path_factory.mktemp('place')
    write_folders(folder)
    write_configs(folder)
    assert main(['train', f'{folder}/config.py', '--work-dir', f'{folder}/run']) == 0
    write_checkpoints(folder)
    ClusterNames.identity('fresh', 3, '0' * 16).save(f'{folder}/foreign.json')
    return folder


def write_folders(folder: Path) -> None:
    images = Path(write_images(folder / 'images', 8))
    for name in ('bare', 'texts', 'broken', 'folders', 'folders/a.jpg'):
        (folder / name).mkdir()
    (folder / 'texts' / 'a.txt').write_text('no image')
    (folder / 'texts' / 'b.gif').write_bytes(b'GIF89a')
    for i in range(4):
        (folder / 'broken' / f'{i}.jpg').write_bytes(b'no image')
    shutil.copytree(images, folder / 'cut')
    (folder / 'cut' / 'zz.jpg').write_bytes((images / f'{1:012d}.jpg').read_bytes()[:500])
    (folder / 'file').write_text('')


def write_configs(folder: Path) -> None:
    cfg = tiny_config(f'{folder}/images', folder / 'run')
    for key in ('work_dir', 'experiment_name'):
        cfg.pop(key)
    cfg.size = 32
    cfg.dump(f'{folder}/config.py')
    base = "_base_ = './config.py'\n"
    for name, text in dict(empty='', syntax='model = dict(\n', nobase="_base_ = './confg.py'\n", division='x = 1 / 0\n',
                           imports=f"{base}custom_imports = dict(imports=['no_such_module'])\n",
                           argument=f'{base}model = dict(backbone=dict(dept=50))\n').items():
        (folder / f'{name}.py').write_text(text)
    (folder / 'binary.py').write_bytes(bytes(range(256)))


def write_checkpoints(folder: Path) -> None:
    whole = (folder / 'run' / 'epoch_1.pth').read_bytes()
    (folder / 'half.pth').write_bytes(whole[:len(whole) // 2])
    (folder / 'page.pth').write_text('<!DOCTYPE html><html><body>404 Not Found</body></html>')
    (folder / 'nothing.pth').write_bytes(b'')
    torch.save(dict(a=1), folder / 'plain.pth')
    torch.save([torch.zeros(3)], folder / 'list.pth')
    write_transformers(folder)
    torch.save(dict(state_dict=tiny_model('IIC').state_dict(), meta={}), folder / 'other.pth')


def write_transformers(folder: Path) -> None:
    """An official file, a part of it, and files by the names of other packages."""
    state = random_vit(family='dino', patch_size=8, img_size=32).state_dict()
    torch.save(state, folder / 'vit.pth')
    torch.save({name: value for name, value in state.items() if 'blocks.0.mlp' not in name}, folder / 'part.pth')
    torch.save(dict(state, reg_token=torch.zeros(1, 4, 64)), folder / 'timm.pth')
    torch.save({'embeddings.cls_token': torch.ones(1, 1, 64), 'layer.0.norm1.weight': torch.ones(64)},
               folder / 'transformers.pth')


def contents(folder: Path) -> dict:
    """Path -> size of what a stranger has."""
    return {str(path): path.stat().st_size for path in folder.rglob('*')
            if path.relative_to(folder).parts[0] not in OWN and '__pycache__' not in path.parts}


def needs(line: str) -> None:
    """Skips the mistakes of a command that is not there yet, and those of a package that is there."""
    name = line.split(' ')[0]
    if name in COMMANDS and not os.path.exists(f'{ROOT}/mmseg_unsup/commands/{name.replace("-", "_")}.py'):
        pytest.skip(f'the command {name} is not there yet')
    if '_convnext' in line and find_spec('mmpretrain'):
        pytest.skip('mmpretrain is there')


@pytest.fixture(autouse=True)
def runs_of_their_own():
    """Runs that begin in one second would share their log and what draws their curves."""
    for kind in (MMLogger, MessageHub, Visualizer, SegLocalVisualizer):
        kind._instance_dict.clear()


def check_sentence(text: str, words: str, place: Path) -> None:
    lines = text.splitlines()
    assert 'Traceback' not in text and lines, text
    assert lines[-1].startswith('error: ') and sum(line.startswith('error: ') for line in lines) == 1, text
    missing = [word for word in words.replace('{p}', str(place)).split(' | ') if word.strip() not in lines[-1]]
    assert not missing, (missing, lines[-1])


@pytest.mark.parametrize('line', mistakes.ALL)
def test_a_mistake(line, place, capfd, monkeypatch):
    needs(line)
    monkeypatch.chdir(place / 'bare')
    shutil.rmtree(place / 'work', ignore_errors=True)
    before = contents(place)
    try:
        status = main([word.replace('{p}', str(place)) for word in line.split(' ')])
    except SystemExit as end:  # of the arguments
        status = end.code
    printed = capfd.readouterr()
    assert 'Traceback' not in printed.out
    check_sentence(printed.err, mistakes.ALL[line], place)
    assert status == 2 and contents(place) == before


def script(name: str, *args: str, cwd, **kwargs) -> subprocess.CompletedProcess:
    """A script of ``tools/`` as a process of its own."""
    return run_script(f'{ROOT}/tools/{name}', args, cwd=cwd, apart=True, **kwargs,
                      env=dict(os.environ, PYTHONPATH=ROOT, OMP_NUM_THREADS='1'))


def limit_files() -> None:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))


@pytest.mark.parametrize('line', [
    'train {p}/confg.py', 'train {p}/images', f'{mistakes.SET} model.type=mmseg_unsup.PiCEI',
    f'{mistakes.TEST} {{p}}/page.pth {mistakes.AWAY}',
])
def test_mistakes_of_scripts(line, place, tmp_path):
    name, *args = line.replace('{p}', str(place)).split(' ')
    done = script(f'{name}.py', *args, cwd=tmp_path)
    check_sentence(done.stderr, mistakes.ALL[line], place)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1


def test_a_disk_that_is_full(place, tmp_path):
    pytest.importorskip('resource')
    done = script('train.py', f'{place}/config.py', '--work-dir', f'{tmp_path}/run', cwd=tmp_path,
                  restrict=limit_files)
    assert done.returncode == 2
    check_sentence(done.stderr, f'{tmp_path}/run/epoch_1.pth | File too large', place)


def test_the_table_is_long_and_of_all_kinds():
    assert len(mistakes.ALL) >= 50 and {*COMMANDS} >= {line.split(' ')[0] for line in mistakes.ALL} - {
        'trian', 'xyzzy'}


def test_a_package_that_is_missing(place, capfd, monkeypatch):
    needs('export')
    monkeypatch.setitem(sys.modules, 'onnx', None)
    line = f'export {mistakes.MODEL} {{p}}/model.onnx --images {{p}}/images'.replace('{p}', str(place))
    assert main(line.split(' ')) == 2
    check_sentence(capfd.readouterr().err, 'onnx | install', place)
    assert not (place / 'model.onnx').exists()


def test_a_folder_that_may_not_be_written_to(place, tmp_path, capfd):
    if not hasattr(os, 'geteuid') or os.geteuid() == 0:
        pytest.skip('root may write everywhere')
    (tmp_path / 'closed').mkdir(mode=0o500)
    assert main(['train', f'{place}/config.py', '--work-dir', f'{tmp_path}/closed/run']) == 2
    check_sentence(capfd.readouterr().err, 'closed/run | cannot be written to (Permission denied) | --work-dir', place)
