"""What cannot be loaded is refused in one sentence, before anything else is done."""
import pytest
import torch

from mmseg_unsup.apis import load_segmentor
from .test_inferencer import tiny_checkpoint


def test_wrong_inputs(tmp_path):
    config, weights = tiny_checkpoint('PiCIE', tmp_path)
    torch.save([torch.zeros(2)], tmp_path / 'list.pth')
    with pytest.raises(ValueError, match='list.pth holds no dict of weights: give a checkpoint that a training wrote$'):
        load_segmentor(config, str(tmp_path / 'list.pth'))
    with pytest.raises(ValueError, match="^the device 'gpu' cannot be used: "):
        load_segmentor(config, 'not read', 'gpu')
    (tmp_path / 'base.py').write_text('model = dict(')
    (tmp_path / 'config.py').write_text("_base_ = './base.py'\n")
    for name in ('base', 'config'):
        path = tmp_path / f'{name}.py'
        said = f"^the config {path}, or .*, is no Python: .* in line 1, 'model = dict\\('$"
        with pytest.raises(ValueError, match=said):
            load_segmentor(str(path), weights)
