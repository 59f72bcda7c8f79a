"""A network that is quick to look with."""
import pytest
import torch

from mmseg_unsup.registry import MODELS


@pytest.fixture
def backbone(tmp_path):
    """Config of a ResNet-18 with random weights in a file."""
    torch.manual_seed(0)
    config = dict(depth=18, base_channels=8)
    network = MODELS.build(dict(type='ResNet', **config))
    torch.save(network.state_dict(), tmp_path / 'random.pth')
    return dict(config, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'random.pth')))
