"""``randomness.deterministic=True``: all methods run in it, and two runs are equal to the bit."""
import pytest
import torch

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
