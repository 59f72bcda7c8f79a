"""``randomness.deterministic=True``: all methods run in it, and two runs are equal to the bit."""
import os

import pytest
import torch

from mmseg_unsup.engine.runner import DETERMINISTIC_PRODUCTS, ConsoleRunner
from .resuming import METHODS, differences, final, resumable_config, train

pytestmark = pytest.mark.filterwarnings('ignore')


@pytest.fixture
def usual_mode():
    """The switch is one of the process."""
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = False


@pytest.mark.parametrize('method', METHODS)
def test_two_runs_are_equal(image_folder, tmp_path, usual_mode, method):
    for name in ('one', 'two'):
        cfg = resumable_config(method, image_folder, tmp_path / name)
        cfg.randomness = dict(seed=3, deterministic=True)
        train(cfg)
        assert torch.are_deterministic_algorithms_enabled()
    assert differences(final(tmp_path / 'one'), final(tmp_path / 'two')) == []


@pytest.mark.parametrize('given, expected', [(None, ':4096:8'), (':16:8', ':16:8')])
def test_products_on_a_gpu_have_a_fixed_order(monkeypatch, usual_mode, given, expected):
    """Without the variable, cuBLAS refuses them in this mode; a value of the user stays."""
    name, _ = DETERMINISTIC_PRODUCTS
    monkeypatch.setenv(name, given or '')
    if given is None:
        monkeypatch.delenv(name)
    runner = object.__new__(ConsoleRunner)
    runner.set_randomness(3)
    assert os.environ.get(name) == given
    runner.set_randomness(3, deterministic=True)
    assert os.environ[name] == expected
