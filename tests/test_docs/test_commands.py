"""Every command of the README runs, on small data, in the order written."""
import os
import os.path as osp
import re
import shlex
import subprocess
import sys

import cv2
import numpy as np
import pytest

from mmseg_unsup.registry import HOOKS
from .conftest import ROOT, run_tool, write_images
from .test_tools.test_segment_folder import LOADERS, WIDTH
from .test_tools.test_segment_folder import SMALL as SMALL_FOLDER
from .test_tools.test_train_and_test import SMALL, coco_root  # noqa: F401

README = open(osp.join(ROOT, 'README.md')).read()
COMMANDS = [line for block in re.findall(r'```bash\n(.*?)```', README, re.S) for line in block.splitlines()]
SHORT = ['--init', 'none', '--epochs', 1, '--workers', 1]
# the same for configs/finetune/fpn_*
SMALL_SUPERVISED = [
    *(option for option in SMALL if 'probe' not in option and 'pipeline' not in option and 'decode_head' not in option
      and 'init_cfg' not in option),
    'model.decode_head.in_channels=[16]', 'train_dataloader.dataset.pipeline.2.scale=(1000,32)',
    'train_dataloader.dataset.pipeline.3.crop_size=(32,32)', 'model.data_preprocessor.size=(32,32)',
    'val_dataloader.dataset.pipeline.2.size=32', 'train_cfg.max_iters=2', 'train_cfg.val_interval=2'
]


def small_options(config: str) -> list:
    """What makes the run of a config last a second, without changing the command's own options."""
    if 'finetune' in config:
        return SMALL_SUPERVISED
    options = [option for option in SMALL if not ('folder' in config and 'pipeline.2.size' in option)]
    if 'folder' in config:
        options += ['val_dataloader.batch_size=1', 'test_dataloader.batch_size=1',
                    'val_dataloader.dataset.pipeline.1.size=32', 'train_cfg.val_interval=1']
    if 'cocostuff' in config:
        # the converter keeps five images; batch norm needs more than one in the last batch at 32 px
        options.append('train_dataloader.batch_size=5')
    epochs = 5 if 'camvid' in config else 1
    return [*options, f'train_cfg.max_epochs={epochs}']


def camvid(root):
    rng = np.random.default_rng(0)
    for split in ('train', 'val'):
        write_images(root / 'images' / split, 4)
        for path in (root / 'images' / split).rglob('*.jpg'):
            label = root / 'labels' / split / path.relative_to(root / 'images' / split).with_suffix('.png')
            label.parent.mkdir(parents=True, exist_ok=True)
            shape = cv2.imread(str(path)).shape[:2]
            cv2.imwrite(str(label), rng.integers(0, 11, shape).astype(np.uint8))


def test_the_commands_are_found():
    assert COMMANDS[0] == 'make demo' and 'pip install -e ".[onedl]"' in COMMANDS
    assert sum(command.startswith('python tools/') for command in COMMANDS) == 16


@pytest.mark.slow
def test_commands(tmp_path, coco_root):  # noqa: F811
    (tmp_path / 'data').mkdir()
    (tmp_path / 'configs').symlink_to(osp.join(ROOT, 'configs'))
    coco_root.rename(tmp_path / 'data' / 'coco_stuff164k')
    camvid(tmp_path / 'data' / 'camvid')
    write_images(tmp_path / 'FOLDER', 8)
    for command in COMMANDS:
        words = shlex.split(command)
        if words[0] != 'python':
            continue  # `make demo` and installing are what runs this very test
        script, *rest = words[1:]
        config = rest[0]
        if 'converter' in script:  # the list of a tiny tree is not the published one, and the tool says so
            assert run_tool(osp.relpath(script, 'tools'), *rest, cwd=tmp_path, check=False).returncode == 3
            continue
        if 'segment_folder' in script:
            method = rest[rest.index('--method') + 1]
            run_tool('segment_folder.py', *rest, *SHORT, '--cfg-options', *WIDTH, *LOADERS, *SMALL_FOLDER[method],
                     cwd=tmp_path)
            continue
        if any(tool in script for tool in ('name_clusters', 'predict', 'export')):
            run_tool(osp.relpath(script, 'tools'), *rest, '--cfg-options', *small_options(config), cwd=tmp_path)
            continue
        if '--cfg-options' not in rest:
            rest.append('--cfg-options')
        at = rest.index('--cfg-options') + 1
        done = run_tool(osp.relpath(script, 'tools'), *rest[:at], *small_options(config), *rest[at:], cwd=tmp_path)
        assert 'benchmark' not in script or 'images/s' in done.stdout
        if '--clusters' in rest:  # before the next training takes the place of the checkpoint
            check_python_examples(tmp_path)
    assert (tmp_path / 'work_dirs' / 'picie_fpn_camvid' / 'epoch_5.pth').exists()
    assert (tmp_path / 'work_dirs' / 'fpn_r18_camvid' / 'iter_2.pth').exists()
    for maps in ('MAPS', 'OBJECTS/maps', 'PIXELS/maps'):
        assert len(list((tmp_path / maps).rglob('*.png'))) == 8
    for maps in ('TEST_MAPS', 'NAMED_MAPS'):
        assert len(list((tmp_path / maps).rglob('*.png'))) == 4
    assert len(list((tmp_path / 'PREDICTED' / 'maps').rglob('*.png'))) == 8
    assert '<dt>mIoU</dt>' in (tmp_path / 'GALLERY.html').read_text()


def check_python_examples(folder):
    """ONNX where neither this package nor torch can be imported, and the inferencer."""
    blocks = re.findall(r'```python\n(.*?)```', README, re.S)
    onnx, = (block for block in blocks if 'onnxruntime' in block)
    inference, = (block for block in blocks if 'UnsupInferencer' in block)
    np.save(folder / 'image.npy', np.random.default_rng(0).random((2, 3, 40, 52), np.float32) * 255)
    alone = ("import sys, numpy\nsys.modules['torch'] = sys.modules['mmseg_unsup'] = None\n"
             f"image = numpy.load('image.npy')\n{onnx}print(ids.shape, similarity.shape)")
    assert '(2, 40, 52) (2, 40, 52)' in run_python(alone, folder)
    # the checkpoint of this test is of a small network, whose config it carries
    inference = inference.replace("'configs/picie/picie_fpn_camvid.py'", 'None')
    assert run_python(f'{inference}print(len(predictions))', folder).endswith('8\n')


def run_python(code, folder):
    env = dict(os.environ, PYTHONPATH=ROOT, OMP_NUM_THREADS='1')
    done = subprocess.run([sys.executable, '-c', code], env=env, cwd=folder, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def test_files_that_the_readme_names_exist():
    for path in re.findall(r'\]\(([^)#]+)\)', README) + re.findall(r'tools/[\w/]+\.(?:py|sh)', README):
        assert osp.exists(osp.join(ROOT, path)), path


def test_variables_that_the_readme_names_exist():
    from mmseg_unsup.utils import load_config
    cfg = load_config(osp.join(ROOT, 'configs', 'picie', 'picie_fpn_camvid.py'))
    assert set(cfg.shortcuts) == {'data_root', 'n_clusters', 'init', 'weights_seen'}
    assert cfg.val_dataloader.dataset.pipeline[2].type == 'mmseg_unsup.ResizeForEvaluation'
    options = dict(max_images=0.5, kmeans=dict(n_iter=20, spherical=True, backend='torch', chunk_bytes=2**20))
    HOOKS.build(dict(cfg.default_hooks.clustering, **options))
    assert cfg.env_cfg.dist_cfg.timeout > 0 and cfg.env_cfg.cudnn_benchmark
