"""Every command of every document runs, on small data, in the order written, in a plain shell of a clone; so do the
Python examples."""
import functools
import glob
import itertools
import os.path as osp
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from typing import Dict, List, Optional, Tuple

import cv2
import numpy as np
import pytest
import torch
import yaml

from mmseg_unsup.datasets.image_files import find_images
from mmseg_unsup.models import DINOViT
from ..conftest import ROOT, copy_checkout, smooth_image
from ..forks import run_script
from ..test_tools.test_extract_backbone import make_checkpoint
from ..test_tools.test_picie_official import released_checkpoint, released_parts
from ..test_tools.test_train_and_test import coco_root, write_curated_lists  # noqa: F401
from ..weights_server import publish, serving, write_table
from .documents import DOCUMENTS, Block, all_commands, blocks, commands
from .small import config_paths, small_options, write_data

# Commands that cannot run in a test, by what they begin with, and why.
NOT_RUN = {
    'git clone': 'a network',
    'cd ': 'of the clone',
    'python3 -m venv': 'the environment of the tests is one',
    'pip ': 'a network; make installs the environment of the tests',
    'make install': 'the same; what it leaves is made by make_clone',
    'make demo': 'minutes; tests/test_packaging.py runs its config',
    'mmseg-unsup push work_dirs/picie_fpn_camvid OWNER/NAME': 'a network; tests/test_hub pushes to a hub here',
    'mmseg-unsup predict hf://': 'the same',
    'mmseg-unsup download': 'a network; tests/test_downloads runs it with a server here',
    'mmseg-unsup side-by-side': 'a network; tests/test_analysis/test_side_by_side.py runs it on a sketch of that code',
    'mmseg-unsup convert-released': 'files of authors; tests/test_tools/test_released.py converts such as theirs',
    'mmseg-unsup evaluate-released': 'the same; tests/test_tools/test_evaluate_released.py',
    'mmseg-unsup join-tables': 'tables of the above; tests/test_tools/test_evaluate_released.py',
    'tools/dist_': 'eight GPUs; tests/test_tools/test_distributed.py runs the scripts',
    'tools/slurm_': 'Slurm; tests/test_engine/test_preemption.py runs the script with a stand-in',
    'python tools/train.py configs/picie/picie_fpn_camvid_vit-s16.py':
        'published weights; tests/test_engine/test_mmpretrain_training.py trains the config',
}
# Documents whose commands and examples another test runs, beside an installed package.
OWN_TESTS = {'docs/add_a_method.md': 'tests/test_add_a_method.py', 'docs/mim.md': 'tests/test_packaging.py'}
RUN_HERE = [name for name in DOCUMENTS if blocks(name) and name not in OWN_TESTS]
ACTIVATION = '. .venv/bin/activate'
FORK = 'fork'  # begins a line that a fork runs
CHECKPOINT = 'work_dirs/picie_fpn_camvid/epoch_5.pth'
WRITTEN = 'picie_fpn_camvid.py'  # by its run
# what the placeholder of documents stands for: a config that knows nothing of this package
STOCK = 'configs/finetune/stock.py'
STOCK_TEXT = "_base_ = 'mmseg::fcn/fcn_r18b-d8_4xb2-80k_cityscapes-512x1024.py'\n"
FOLDER_CONFIGS = dict(
    picie='configs/picie/picie_fpn_folder.py', maskcontrast='configs/maskcontrast/maskcontrast_deeplabv3_folder_r18.py',
    features='configs/features/features_r18_folder.py')
TAKES_OPTIONS = [
    'train.py', 'test.py', 'predict.py', 'export.py', 'name_clusters.py', 'check_data.py', 'segment_folder.py',
    'learn_folder.py',
    *(f'analysis_tools/{name}.py' for name in ('gallery', 'benchmark', 'seeds', 'label_efficiency', 'choose_k',
                                               'position', 'browse_views', 'confusion_matrix', 'get_flops'))
]
TAKES_NONE = ['make_priors.py', 'analysis_tools/analyze_logs.py', 'dataset_converters/coco_stuff27.py',
              'dataset_converters/convert_maps.py', 'dataset_converters/rasters.py', 'dataset_converters/frames.py',
              'model_converters/extract_backbone.py', 'model_converters/picie_official.py', 'push.py']
# it loads its file into networks of other code, which have the usual number of channels
WIDE_ONLY = 'model_converters/extract_backbone.py'
# further arguments of a tool, which shorten it
SHORTER = {
    'segment_folder.py': '--workers 1',
    'learn_folder.py': '--steps 10 --size 32',
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


@functools.lru_cache
def scripts() -> Dict[str, str]:
    """Command of mmseg-unsup -> the script below ``tools/`` that runs the same."""
    paths = glob.glob('**/*.py', root_dir=osp.join(ROOT, 'tools'), recursive=True)
    found = {path: re.search(r"run_tool\('([\w-]+)'\)", open(osp.join(ROOT, 'tools', path)).read()) for path in paths}
    return {match[1]: path for path, match in found.items() if match}


def split_command(command: str) -> Tuple[List[str], str, List[str], List[str]]:
    """What calls a script below ``tools/``, the script, its arguments, and what follows ``--cfg-options``."""
    words = [STOCK if word == 'CONFIG' else word for word in shlex.split(command)]
    is_command = words[0] == 'mmseg-unsup' and words[1] in scripts()
    assert is_command or words[0] == 'python' and words[1].startswith('tools/'), f'no rule makes this small: {command}'
    script = scripts()[words[1]] if is_command else osp.relpath(words[1], 'tools')
    caller, rest, own = words[:2], words[2:], []
    assert script in TAKES_OPTIONS + TAKES_NONE, f'no rule makes tools/{script} small'
    if '--cfg-options' in rest:
        at = rest.index('--cfg-options')
        rest, own = rest[:at], rest[at + 1:]
    # of the usual number of channels, which the server does not have
    own = ['init=None' if word.startswith('init=torchvision://') else word for word in own]
    return caller, script, rest + shlex.split(SHORTER.get(script, '')), own


def small_command(command: str, folder, init: Optional[str] = 'none') -> Tuple[str, List[str]]:
    """Script below ``tools/``, and the words of the command with what makes it small.

    Args:
        init: what a run starts from whose command does not say it; None for what its config says.
    """
    caller, script, rest, own = split_command(command)
    if script == WIDE_ONLY:
        rest[0] = 'WIDE'
    if script in TAKES_NONE:
        return script, [*caller, *rest, *own]
    configs, starts = config_paths(rest), own + ['init='] * (init is None or '--init' in rest)
    if script == 'segment_folder.py':  # the one for CPUs, on machines with a GPU too
        sees_transformer = any(word.endswith('.pth') for word in rest)  # whose file decides the config
        method = rest[rest.index('--method') + 1] if '--method' in rest else 'maskcontrast'
        configs = ['configs/features/features_vit_folder.py' if sees_transformer else FOLDER_CONFIGS[method]]
        rest += [] if sees_transformer else ['--config', *configs]
        rest += ['--epochs', '1'] if not (sees_transformer or method == 'features') else []
    elif script == 'analysis_tools/label_efficiency.py':  # its settings name the config, and what runs start from
        configs, starts = ['configs/finetune/fpn_r18_camvid.py'], ['init=']
    if not configs:
        return script, [*caller, *rest, *(['--cfg-options', *own] if own else [])]
    epochs = 5 if script == 'train.py' and 'camvid' in configs[0] else 1
    options = small_options(folder / configs[0], starts, epochs) + OPTIONS.get(configs[0], [])
    return script, [*caller, *rest, '--cfg-options', *options, *own]


def shell_lines(command: str, folder, init: Optional[str] = 'none', forks: bool = False) -> List[str]:
    """What a shell is told for a documented command, or with ``forks``, this test; see :func:`run_lines`."""
    if command == ACTIVATION:
        return [command]
    script, words = small_command(command, folder, init)
    if forks:
        lines = [shlex.join([FORK, script, *words[2:]])]
    else:
        lines = [f'status=0; {shlex.join(words)} || status=$?', f'test $status = {STATUS.get(script, 0)}']
    if '--out' in words:
        lines.append(f"test -e {shlex.quote(words[words.index('--out') + 1])}")
    return lines


def python_lines(block: Block, folder) -> List[str]:
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
    return [f'python -c {shlex.quote(code)}']


def run_in_plain_shell(lines: List[str], folder, home) -> None:
    """In one shell that knows nothing but what a new user's does; it stops at the first failure."""
    env = dict(HOME=str(home), PATH='/usr/bin:/bin', OMP_NUM_THREADS='1')
    done = subprocess.run(['sh', '-ec', '\n'.join(['set -x', *lines])], env=env, cwd=folder, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout[-5000:]


def run_lines(lines: List[str], folder, home) -> None:
    """In plain shells, but for those that are forks of a process that has everything imported."""
    for is_fork, group in itertools.groupby(lines, lambda line: line.startswith(f'{FORK} ')):
        if not is_fork:
            run_in_plain_shell([ACTIVATION, *group], folder, home)
            continue
        for line in group:
            _, script, *words = shlex.split(line)
            done = run_script(str(folder / 'tools' / script), words, cwd=folder,
                              env=dict(HOME=str(home), PATH='/usr/bin:/bin', OMP_NUM_THREADS='1'))
            assert done.returncode == STATUS.get(script, 0), line + done.stdout[-5000:]


def make_clone(folder) -> None:
    """What git and ``make install`` leave: the files, and an environment with the packages of that of the tests."""
    copy_checkout(folder)
    venv.create(folder / '.venv')
    site = sysconfig.get_path('purelib', vars=dict(base=str(folder / '.venv')))
    packages = [path for path in sys.path if path.endswith(('site-packages', 'dist-packages'))]
    with open(osp.join(site, 'clone.pth'), 'w') as file:
        file.write('\n'.join([str(folder), *packages]))
    script = folder / '.venv' / 'bin' / 'mmseg-unsup'
    script.write_text(f'#!{folder}/.venv/bin/python\n'
                      'import sys\nfrom mmseg_unsup.commands import main\nsys.exit(main())\n')
    script.chmod(0o755)
    write_data(folder)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The checkpoint that documents begin with."""
    root = tmp_path_factory.mktemp('trained')
    make_clone(root)
    run_lines(shell_lines('python tools/train.py configs/picie/picie_fpn_camvid.py', root, forks=True), root, root)
    return root / CHECKPOINT


@pytest.fixture
def folder(tmp_path, coco_root):  # noqa: F811
    """A clone, and in it the data that the documents name."""
    make_clone(tmp_path / 'clone')
    coco_root.rename(tmp_path / 'clone' / 'data' / 'coco_stuff164k')
    return tmp_path / 'clone'


def write_named_files(document, folder) -> None:
    """Files whose text is in the document, with the path in their first line."""
    for block in blocks(document):
        if block.path:
            (folder / block.path).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.path).write_text(block.text)


def lay_out_checkpoints(document, folder, checkpoint) -> None:
    """Under the names by which documents call what earlier runs have written."""
    paths = ['CHECKPOINT', 'MODEL/epoch_5.pth', CHECKPOINT, 'work_dirs/picie_fpn_demo/epoch_8.pth',
             'work_dirs/picie_fpn_cityscapes/epoch_10.pth']
    if not any('seeds.py' in command for command in all_commands(document)):  # which trains into a folder of its own
        paths.append('work_dirs/seeds/picie_fpn_camvid/seed_1/epoch_5.pth')
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).symlink_to(checkpoint)
    (folder / CHECKPOINT).with_name(WRITTEN).symlink_to(checkpoint.with_name(WRITTEN))


@functools.lru_cache
def first_commands() -> Dict[str, Tuple[str, str]]:
    """Script below ``tools/`` -> the first document with a command that runs it, and the command."""
    found = [(document, command) for document in RUN_HERE for command in filter(is_run, all_commands(document))]
    return {split_command(command)[1]: (document, command) for document, command in reversed(found)
            if command != ACTIVATION}


def may_fork(document: str, command: str) -> bool:
    """Whether the start of what it runs is that of an earlier command too."""
    return (document, command) not in first_commands().values()


def document_lines(document: str, folder, init: Optional[str] = 'none') -> List[str]:
    """See :func:`run_lines`; they run its commands and examples in the order written."""
    PREPARE.get(document, lambda folder: None)(folder)
    write_named_files(document, folder)
    lines = []
    for block in blocks(document):
        if block.language == 'python':
            lines += python_lines(block, folder)
        for command in filter(is_run, commands(block)):
            lines += shell_lines(command, folder, init, may_fork(document, command))
    return lines


def check_what_is_left(document: str, folder) -> None:
    for path, n_maps in MAPS.get(document, {}).items():
        assert len(list((folder / path).rglob('*.png'))) == n_maps, path
    for path, text in TEXTS.get(document, {}).items():
        assert text in (folder / path).read_text(), path


@pytest.mark.slow
def test_the_readme_as_a_stranger_runs_it(folder, tmp_path):
    """As written, after `make install` alone; the weights come from a server, once, and their hash is checked."""
    (tmp_path / 'served').mkdir()
    state = torch.load(folder / 'WEIGHTS', weights_only=True)
    with serving(tmp_path / 'served') as server:
        published = publish(tmp_path / 'served', state, 'resnet18')
        write_table(tmp_path / '.cache' / 'mmengine', dict(resnet18=f'{server.address}/{published}'))
        run_lines(document_lines('README.md', folder, init=None), folder, home=tmp_path)
    assert server.requests == [published]
    log = min((folder / 'work_dirs' / 'picie_fpn_camvid').glob('*/*.log'))  # folders by time
    assert 'init: loaded 120/120 backbone tensors from torchvision://resnet18' in log.read_text()
    check_what_is_left('README.md', folder)


@pytest.mark.long
@pytest.mark.parametrize('document', [name for name in RUN_HERE if name != 'README.md'])
def test_commands_and_examples(document, folder, trained, tmp_path):
    lay_out_checkpoints(document, folder, trained)
    run_lines(document_lines(document, folder), folder, home=tmp_path)
    check_what_is_left(document, folder)


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


def prepare_transformers(folder) -> None:
    """A narrow network in the place of the published one, and photographs in folders with a space in their names."""
    torch.manual_seed(0)
    network = DINOViT('dinov2', dict(embed_dims=64, num_layers=12, num_heads=1, feedforward_channels=64), n_registers=4)
    with torch.no_grad():
        network.patch_embed.proj.weight *= 30  # what is seen outweighs the rest, and cells differ
    torch.save(network.state_dict(), folder / 'dinov2_vits14_reg4_pretrain.pth')
    for name in ('My Photos', 'New Photos'):
        shutil.copytree(folder / 'FOLDER', folder / name)
    prepare_own_data(folder)
    (folder / 'LABELLED').rename(folder / 'Labelled')


def prepare_use(folder) -> None:
    make_checkpoint(folder / 'WIDE')
    shutil.copy(next((folder / 'FOLDER').rglob('*.*')), folder / 'IMAGE')


def prepare_own_data(folder) -> None:
    """Two label maps, of what is bright and what is dark."""
    images = find_images(str(folder / 'FOLDER'))
    for path in images[:2]:
        grey = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
        labels = folder / 'LABELLED' / osp.splitext(osp.relpath(path, folder / 'FOLDER'))[0]
        labels.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(f'{labels}.png', (grey > np.median(grey)).astype(np.uint8))


def prepare_rasters(folder) -> None:
    """Scenes of a sensor of 12 bits and four bands, one of them wide, and a video."""
    rasterio = pytest.importorskip('rasterio')
    (folder / 'SCENES').mkdir()
    rng = np.random.default_rng(0)
    for name, width in dict(a=96, b=80, c=1100).items():
        bands = np.dstack([smooth_image(rng, 64, width), np.full((64, width), 90, np.uint8)]).astype(np.uint16) * 12
        with rasterio.open(folder / 'SCENES' / f'{name}.tif', 'w', driver='GTiff', width=width, height=64, count=4,
                           dtype='uint16', crs='EPSG:32632',
                           transform=rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)) as file:
            file.write(np.moveaxis(bands, -1, 0))
    writer = cv2.VideoWriter(str(folder / 'CLIP.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 10., (96, 64))
    for _ in range(40):
        writer.write(smooth_image(rng, 64, 96))
    writer.release()


def prepare_probes(folder) -> None:
    write_curated_lists(folder / 'data' / 'coco_stuff164k')


PREPARE = {'docs/own_data.md': prepare_own_data, 'docs/rasters_and_videos.md': prepare_rasters,
           'configs/features/README.md': prepare_own_data,
           'docs/use.md': prepare_use,
           'docs/frozen_transformers.md': prepare_transformers, 'configs/finetune/README.md': prepare_finetune,
           'configs/picie/README.md': prepare_picie, 'configs/probe/README.md': prepare_probes}
# folders of maps that a document's commands leave, and how many are in them
MAPS = {
    'README.md': {'TEST_MAPS': 4, 'PIXELS/maps': 8, 'OBJECTS/maps': 8, 'PREDICTED/maps': 8},
    'docs/own_data.md': {'PIXELS/maps': 8, 'MAPS': 8},
    'docs/use.md': {'NAMED_MAPS': 4, 'OUT/maps': 8, 'PREDICTED/maps': 8, 'TILED/maps': 8, 'PICTURES/pred': 7},
    'docs/formats.md': {'PREDICTED/maps': 8, 'LEARNED/maps': 8, 'LEARNED/labels': 2},
    'docs/rasters_and_videos.md': {'LAND/maps': 4, 'WATCHED/maps': 8, 'CALM/maps': 8},
    'configs/maskcontrast/README.md': {'MASKS': 8},
    'docs/frozen_transformers.md': {'Segments/maps': 8, 'New Segments/maps': 8, 'Classes/maps': 8,
                                    'New Classes/maps': 8, 'Masks': 8, 'Objects': 8},
    'configs/features/README.md': {'OUT/maps': 8},
}
# files that they leave, and what these hold
TEXTS = {
    'docs/own_data.md': {'PIXELS/label_next.json': '"confidence"', 'PIXELS/examples.txt': ''},
    'docs/frozen_transformers.md': {'New Segments/predictions.json': '"building"', 'new.html': 'building',
                                    'New Classes/predictions.json': '"thing"'},
    'docs/use.md': {'GALLERY.html': '<dt>mIoU</dt>', 'work_dirs/picie_fpn_camvid/clusters.json': '"building"'},
    'docs/formats.md': {'PREDICTED/coco.json': '"cluster 0"', 'PREDICTED/cvat.xml': 'cluster 0',
                        'PREDICTED/yolo/data.yaml': 'cluster 0', 'LEARNED/label_studio.json': '"predictions"'},
    'docs/rasters_and_videos.md': {'LAND/geotiff/c_00000_00550.tif.aux.xml': 'cluster 0',
                                   'WATCHED/predictions.json': 'CLIP/frame_000035.jpg'},
    'docs/train.md': {'work_dirs/seed_1/report.html': 'mIoU'},
}


def test_the_commands_are_found():
    found = {name: all_commands(name) for name in RUN_HERE}
    assert found['README.md'][:3] == ['make install', ACTIVATION, 'make demo']
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
        shell_lines(command, tmp_path)


@pytest.mark.parametrize('command', ['python tools/unheard_of.py x', 'rm -r x', 'tools/train.py CONFIG',
                                     'mmseg-unsup unheard-of'])
def test_a_command_without_a_rule_fails(command, tmp_path):
    assert is_run(command)
    with pytest.raises(AssertionError, match='no rule makes'):
        small_command(command, tmp_path)
