"""Shared fixtures: one thread, real data where it is there, tiny data sets that the tests write."""
import gc
import os
import os.path as osp
import pathlib
import shutil
import subprocess
import sys
from contextlib import suppress

os.environ.setdefault('OMP_NUM_THREADS', '1')

from . import imported  # noqa: F401  before all that imports what it sets

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope

from mmseg_unsup.commands import load_command, make_parser
from .forks import ROOT, run_script, stop_server

SHARED = osp.join(ROOT, '..', 'shared')

with suppress(ImportError):  # `make test-gpu` needs no more than pytest
    from hypothesis import HealthCheck, settings

    # the same examples in every run, on machines of any speed
    settings.register_profile('repeatable', derandomize=True, deadline=None, database=None, max_examples=100,
                              suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile('repeatable')


def pytest_sessionfinish() -> None:
    stop_server()


def pytest_collection_modifyitems(items) -> None:
    """The slow ones first: beside them another process has time for all the others."""
    items.sort(key=lambda item: item.get_closest_marker('slow') is None)


@pytest.fixture(scope='module', autouse=True)
def frozen_heap():
    """What is there before a file of tests is left out of collections of garbage; see imported.py."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def mmseg_scope():
    init_default_scope('mmseg')


def shared_file(*parts: str) -> str:
    """Path of a file of real data or weights; skips the test where it is absent."""
    path = osp.join(SHARED, *parts)
    if not osp.exists(path):
        pytest.skip(f'{osp.join("../shared", *parts)} is not there')
    return path


@pytest.fixture
def camvid_root():
    return shared_file('data', 'camvid')


@pytest.fixture
def resnet18_weights():
    return shared_file('weights', 'resnet18_in1k_grafted.pth')


@pytest.fixture
def image_folder(tmp_path):
    """Eight smooth random photographs of two sizes, one of them in a sub-folder."""
    return write_images(tmp_path / 'images', 8)


def smooth_image(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    knots = rng.integers(0, 256, (6, 6, 3)).astype(np.uint8)
    return cv2.resize(knots, (width, height), interpolation=cv2.INTER_CUBIC)


def write_images(folder, count: int, suffix: str = '.jpg', heights=(72, 80)) -> str:
    rng = np.random.default_rng(0)
    os.makedirs(folder / 'more', exist_ok=True)
    for i in range(count):
        path = folder / ('more' if i == 0 else '') / f'{i:012d}{suffix}'
        cv2.imwrite(str(path), smooth_image(rng, heights[i % 2], 96))
    return str(folder)


def write_camvid(root, n_classes: int = 11) -> None:
    """The layout of CamVid: four training and four validation images with random labels."""
    rng = np.random.default_rng(0)
    for split in ('train', 'val'):
        write_images(root / 'images' / split, 4, heights=(72, 72))
        for path in (root / 'images' / split).rglob('*.jpg'):
            label = root / 'labels' / split / path.relative_to(root / 'images' / split).with_suffix('.png')
            label.parent.mkdir(parents=True, exist_ok=True)
            shape = cv2.imread(str(path)).shape[:2]
            cv2.imwrite(str(label), rng.integers(0, n_classes, shape).astype(np.uint8))


def copy_checkout(target) -> None:
    """Copy what git tracks, and what is new and not ignored; skips the test outside of a git checkout."""
    done = subprocess.run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], cwd=ROOT, text=True,
                          capture_output=True)
    names = [name for name in done.stdout.split('\0') if name and osp.isfile(osp.join(ROOT, name))]
    if not names:
        pytest.skip('not a git checkout')
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(osp.join(ROOT, name), target / name)


@pytest.fixture
def tool():
    """Runs a command with arguments in this process, seconds less than one of its own; errors are raised."""

    def run(name: str, *args):
        init_default_scope('mmseg')
        parsed = make_parser(name).parse_intermixed_args([*map(str, args)])
        return load_command(name).run(parsed)

    return run


def run_tool(*args, check: bool = True, cwd=None, fresh: bool = False) -> subprocess.CompletedProcess:
    """Run a script of ``tools/`` as a user would, on one thread; the output is in ``stdout``.

    Args:
        fresh: in a Python that starts for it, not in a fork that has everything imported.
    """
    script, *rest = (str(arg) for arg in args)
    path, env = osp.join(ROOT, 'tools', script), dict(os.environ, PYTHONPATH=ROOT, OMP_NUM_THREADS='1')
    if fresh:
        done = subprocess.run([sys.executable, path, *rest], env=env, cwd=cwd, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
    else:
        done = run_script(path, rest, env=env, cwd=cwd)
    assert not check or done.returncode == 0, done.stdout[-5000:]
    return done


def run_log(work_dir) -> str:
    """What the log files of a run say, which its console does not show."""
    return ''.join(path.read_text() for path in sorted(pathlib.Path(work_dir).glob('*/*.log')))


# loaders without worker processes, for runs of a few seconds
NO_WORKERS = [
    f'{loader}.{key}' for loader in ('train_dataloader', 'probe_dataloader', 'val_dataloader', 'test_dataloader')
    for key in ('num_workers=0', 'persistent_workers=False')
]
