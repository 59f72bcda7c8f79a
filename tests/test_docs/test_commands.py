"""Every command of every document runs, on small data, in the order written; so do the Python examples."""
import os
import os.path as osp
import shlex
import shutil
import subprocess
import sys
from typing import List, Tuple

import pytest
import torch
import yaml

from ..conftest import ROOT, run_tool
from ..test_tools.test_extract_backbone import make_checkpoint
from ..test_tools.test_picie_official import released_checkpoint, released_parts
from ..test_tools.test_train_and_test import coco_root, write_curated_lists  # noqa: F401
from .documents import DOCUMENTS, Block, all_commands, blocks, commands
from .small import config_paths, small_options, write_data

# Commands that cannot run in a test, by what they begin with, and why.
NOT_RUN = {
    'git clone': 'a network',
    'cd ': 'of the clone',
    'python -m venv': 'the environment of the tests is one',
    'pip ': 'a network; make installs the environment of the tests',
    '.venv/bin/pip ': 'the same',
    'make demo': 'minutes, and the environment of the tests; tests/test_packaging.py runs its config',
    'tools/dist_': 'eight GPUs; tests/test_tools/test_distributed.py runs the scripts',
    'tools/slurm_': 'Slurm; tests/test_engine/test_preemption.py runs the script with a stand-in',
    'python tools/train.py configs/picie/picie_fpn_camvid_vit-s16.py':
        'published weights; tests/test_engine/test_mmpretrain_training.py trains the config',
}
# Documents whose commands and examples another test runs, beside an installed package.
OWN_TESTS = {'docs/add_a_method.md': 'tests/test_add_a_method.py', 'docs/mim.md': 'tests/test_packaging.py'}
RUN_HERE = [name for name in DOCUMENTS if blocks(name) and name not in OWN_TESTS]
CHECKPOINT = 'work_dirs/picie_fpn_camvid/epoch_5.pth'
WRITTEN = 'picie_fpn_camvid.py'  # by its run
# what the placeholder of documents stands for: a config that knows nothing of this package
STOCK = 'configs/finetune/stock.py'
STOCK_TEXT = "_base_ = 'mmseg::fcn/fcn_r18b-d8_4xb2-80k_cityscapes-512x1024.py'\n"
FOLDER_CONFIGS = dict(
    picie='configs/picie/picie_fpn_folder.py', maskcontrast='configs/maskcontrast/maskcontrast_deeplabv3_folder_r18.py')
TAKES_OPTIONS = [
    'train.py', 'test.py', 'predict.py', 'export.py', 'name_clusters.py', 'check_data.py', 'segment_folder.py',
    *(f'analysis_tools/{name}.py' for name in ('gallery', 'benchmark', 'seeds', 'label_efficiency', 'choose_k',
                                               'browse_views', 'confusion_matrix', 'get_flops'))
]
TAKES_NONE = ['make_priors.py', 'analysis_tools/analyze_logs.py', 'dataset_converters/coco_stuff27.py',
              'model_converters/extract_backbone.py', 'model_converters/picie_official.py']
# it loads its file into networks of other code, which have the usual number of channels
WIDE_ONLY = 'model_converters/extract_backbone.py'
# further arguments of a tool, which shorten it
SHORTER = {
    'segment_folder.py': '--init none --epochs 1 --workers 1',
    'make_priors.py': '--workers 1',
    'analysis_tools/seeds.py': '--seeds 1 --images 4 --cells 128',
    'analysis_tools/benchmark.py': '--kmeans-points 2000',
    'analysis_tools/choose_k.py': '--k 2 3 --cells 256 --silhouette-cells 64',
}
# further options of configs whose checkpoint is that of CamVid here
OPTIONS = {'configs/picie/picie_fpn_demo.py': ['n_clusters=11'], 'configs/probe/cocostuff_probes.py': ['n_clusters=11']}
# the status of a tool, where it is not 0: the list of a tiny tree is not the published one, and the tool says so
STATUS = {'dataset_converters/coco_stuff27.py': 3}


def is_run(command: str) -> bool:
    return not command.startswith(tuple(NOT_RUN))


def split_command(command: str) -> Tuple[str, List[str], List[str]]:
    """Script below ``tools/``, its arguments, and what follows ``--cfg-options``."""
    words = [STOCK if word == 'CONFIG' else word for word in shlex.split(command)]
    assert words[0] == 'python' and words[1].startswith('tools/'), f'no rule makes this small: {command}'
    script, rest, own = osp.relpath(words[1], 'tools'), words[2:], []
    assert script in TAKES_OPTIONS + TAKES_NONE, f'no rule makes tools/{script} small'
    if '--cfg-options' in rest:
        at = rest.index('--cfg-options')
        rest, own = rest[:at], rest[at + 1:]
    # a network would be needed
    own = ['init=None' if word.startswith('init=torchvision://') else word for word in own]
    return script, rest + shlex.split(SHORTER.get(script, '')), own


def small_command(command: str, folder) -> List[str]:
    """Script below ``tools/`` and arguments, with what makes the command small."""
    script, rest, own = split_command(command)
    if script == WIDE_ONLY:
        rest[0] = 'WIDE'
    if script in TAKES_NONE:
        return [script, *rest, *own]
    configs, starts = config_paths(rest), own
    if script == 'segment_folder.py':  # the one for CPUs, on machines with a GPU too
        configs = [FOLDER_CONFIGS[rest[rest.index('--method') + 1]]]
        rest += ['--config', *configs]
    elif script == 'analysis_tools/label_efficiency.py':  # its settings name the config, and what runs start from
        configs, starts = ['configs/finetune/fpn_r18_camvid.py'], ['init=']
    if not configs:
        return [script, *rest, *(['--cfg-options', *own] if own else [])]
    epochs = 5 if script == 'train.py' and 'camvid' in configs[0] else 1
    options = small_options(folder / configs[0], starts, epochs) + OPTIONS.get(configs[0], [])
    return [script, *rest, '--cfg-options', *options, *own]


def run_command(command: str, folder) -> None:
    script, *rest = small_command(command, folder)
    done = run_tool(script, *rest, cwd=folder, check=False)
    assert done.returncode == STATUS.get(script, 0), f'{command}\n{done.stdout[-3000:]}'
    if '--out' in rest:
        assert (folder / rest[rest.index('--out') + 1]).exists(), command


def run_python(block: Block, folder) -> None:
    """A config is read by the tools; other code runs, ONNX where neither this package nor torch can be imported."""
    code = block.text
    if '_base_ = ' in code:
        path = folder / (block.path or 'configs/probe/example.py')
        path.write_text(code)
        code = f'from mmseg_unsup.utils import load_config\nload_config({str(path)!r})'
    elif 'onnxruntime' in code:
        code = ("import sys, numpy\nsys.modules['torch'] = sys.modules['mmseg_unsup'] = None\n"
                f"image = numpy.load('image.npy')\n{code}assert ids.shape == similarity.shape == (2, 40, 52)")
    else:  # the checkpoint of this test is of a small network, whose config it carries
        code = code.replace("'configs/picie/picie_fpn_camvid.py'", 'None')
    env = dict(os.environ, PYTHONPATH=ROOT, OMP_NUM_THREADS='1')
    done = subprocess.run([sys.executable, '-c', code], env=env, cwd=folder, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert done.returncode == 0, f'{block.text}\n{done.stdout[-3000:]}'


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The checkpoint that documents begin with."""
    root = tmp_path_factory.mktemp('trained')
    (root / 'configs').symlink_to(osp.join(ROOT, 'configs'))
    write_data(root)
    run_command('python tools/train.py configs/picie/picie_fpn_camvid.py', root)
    return root / CHECKPOINT


@pytest.fixture
def folder(tmp_path, coco_root):  # noqa: F811
    """Where the commands run: configs that can be added to, and the data that the documents name."""
    shutil.copytree(osp.join(ROOT, 'configs'), tmp_path / 'configs')
    write_data(tmp_path)
    coco_root.rename(tmp_path / 'data' / 'coco_stuff164k')
    return tmp_path


def write_named_files(document, folder) -> None:
    """Files whose text is in the document, with the path in their first line."""
    for block in blocks(document):
        if block.path:
            (folder / block.path).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.path).write_text(block.text)


def lay_out_checkpoints(folder, checkpoint) -> None:
    """Under the names by which documents call what earlier runs have written."""
    for path in ('CHECKPOINT', CHECKPOINT, 'work_dirs/picie_fpn_demo/epoch_8.pth',
                 'work_dirs/picie_fpn_cityscapes/epoch_10.pth', 'work_dirs/seeds/picie_fpn_camvid/seed_1/epoch_5.pth'):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).symlink_to(checkpoint)
    (folder / CHECKPOINT).with_name(WRITTEN).symlink_to(checkpoint.with_name(WRITTEN))


@pytest.mark.parametrize('document', [
    pytest.param(name, marks=pytest.mark.slow if name == 'README.md' else pytest.mark.long)
    for name in RUN_HERE
])
def test_commands_and_examples(document, folder, request):
    if document != 'README.md':  # it trains its own
        lay_out_checkpoints(folder, request.getfixturevalue('trained'))
    PREPARE.get(document, lambda folder: None)(folder)
    write_named_files(document, folder)
    for block in blocks(document):
        if block.language == 'python':
            run_python(block, folder)
        for command in commands(block):
            if is_run(command):
                run_command(command, folder)
    for path, n_maps in MAPS.get(document, {}).items():
        assert len(list((folder / path).rglob('*.png'))) == n_maps, path
    for path, text in TEXTS.get(document, {}).items():
        assert text in (folder / path).read_text(), path


def prepare_finetune(folder) -> None:
    """Few labels: one seed and one share."""
    make_checkpoint(folder / 'WIDE')
    (folder / STOCK).write_text(STOCK_TEXT)
    path = folder / 'configs' / 'finetune' / 'label_efficiency_camvid.yml'
    settings = yaml.safe_load(path.read_text())
    settings.update(percents=[100], seeds=[1])
    path.write_text(yaml.safe_dump(settings))


def prepare_picie(folder) -> None:
    torch.save(released_checkpoint(*released_parts()), folder / 'RELEASED.pth')


def prepare_use(folder) -> None:
    make_checkpoint(folder / 'WIDE')
    shutil.copy(next((folder / 'FOLDER').rglob('*.*')), folder / 'IMAGE')


def prepare_probes(folder) -> None:
    write_curated_lists(folder / 'data' / 'coco_stuff164k')


PREPARE = {'docs/use.md': prepare_use, 'configs/finetune/README.md': prepare_finetune,
           'configs/picie/README.md': prepare_picie, 'configs/probe/README.md': prepare_probes}
# folders of maps that a document's commands leave, and how many are in them
MAPS = {
    'README.md': {'TEST_MAPS': 4, 'PIXELS/maps': 8, 'OBJECTS/maps': 8, 'PREDICTED/maps': 8},
    'docs/own_data.md': {'PIXELS/maps': 8, 'MAPS': 8},
    'docs/use.md': {'NAMED_MAPS': 4, 'PREDICTED/maps': 8, 'TILED/maps': 8, 'PICTURES/pred': 7},
    'configs/maskcontrast/README.md': {'MASKS': 8},
}
# files that they leave, and what these hold
TEXTS = {
    'docs/use.md': {'GALLERY.html': '<dt>mIoU</dt>', 'clusters.json': '"building"'},
    'docs/train.md': {'work_dirs/seed_1/report.html': 'mIoU'},
}


def test_the_commands_are_found():
    found = {name: all_commands(name) for name in RUN_HERE}
    assert found['README.md'][:2] == ['pip install -e ".[onedl]"', 'make demo']
    assert sum(map(len, found.values())) > 50
    assert not [block.language for name in DOCUMENTS for block in blocks(name)
                if block.language not in ('bash', 'python', '')]
    for prefix in NOT_RUN:
        assert any(line.startswith(prefix) for lines in found.values() for line in lines), prefix


def test_documents_with_tests_of_their_own():
    for document, test in OWN_TESTS.items():
        assert document in DOCUMENTS and osp.basename(document) in open(osp.join(ROOT, test)).read()


@pytest.mark.parametrize('document', RUN_HERE)
def test_every_command_has_a_rule(document, tmp_path):
    """What the long tests run; this alone says what a new command lacks."""
    shutil.copytree(osp.join(ROOT, 'configs'), tmp_path / 'configs')
    write_named_files(document, tmp_path)
    (tmp_path / STOCK).write_text(STOCK_TEXT)
    for command in filter(is_run, all_commands(document)):
        small_command(command, tmp_path)


@pytest.mark.parametrize('command', ['python tools/unheard_of.py x', 'rm -r x', 'tools/train.py CONFIG'])
def test_a_command_without_a_rule_fails(command, tmp_path):
    assert is_run(command)
    with pytest.raises(AssertionError, match='no rule makes'):
        small_command(command, tmp_path)
