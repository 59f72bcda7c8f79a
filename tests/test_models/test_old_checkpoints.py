"""Checkpoints of the first version load, and predict what they predicted then."""
import os.path as osp

import numpy as np
import pytest
import torch

from mmseg_unsup.apis import UnsupInferencer
from mmseg_unsup.registry import MODELS
from mmseg_unsup.weights.tensor_names import renamed_state
from ..conftest import smooth_image

FOLDER = osp.join(osp.dirname(__file__), 'old_checkpoints')  # of runs of an epoch on eight images, two channels wide


@pytest.mark.parametrize('method', ['picie', 'mdc', 'iic', 'maskcontrast'])
def test_the_maps_are_those_of_then(method):
    path, expected = osp.join(FOLDER, f'{method}.pth'), np.load(osp.join(FOLDER, 'expected.npz'))
    inferencer = UnsupInferencer.from_pretrained(path, show_progress=False)
    image = smooth_image(np.random.default_rng(7), 72, 96)
    assert np.array_equal(inferencer(image)['predictions'][0]['ids'], expected[method])
    assert [*map(str, inferencer.model.cluster_identity())] == expected[f'{method}_identity'].tolist()
    state = torch.load(path, weights_only=True)['state_dict']
    model = MODELS.build(inferencer.cfg.model)
    assert not model.load_state_dict(state).missing_keys  # strictly: nothing of the training is lost either
    renamed = renamed_state(state)
    assert renamed.keys() == model.state_dict().keys() and renamed_state(renamed) == renamed
    assert sum(value.numel() for value in renamed.values()) == sum(
        value.numel() for name, value in state.items() if not name.endswith('over_head.fresh_prototypes'))
