"""A run on a frozen backbone, from its log to what is predicted, exported and continued from its checkpoint."""
import re

import cv2
import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from mmseg_unsup.apis import UnsupInferencer
from mmseg_unsup.apis.export import export_segmentor
from mmseg_unsup.apis.image_input import list_inputs
from mmseg_unsup.converters.extract_backbone import extract_backbone
from mmseg_unsup.weights import read_part
from ..conftest import write_images
from ..test_models.test_frozen_backbone import SMALL, frozen_cfg, write_weights
from .resuming import EPOCHS, differences, final, resumable_config, terminate, train

pytestmark = pytest.mark.filterwarnings('ignore')


def frozen_run(root, work_dir, weights, **options):
    cfg = resumable_config('picie', root, work_dir, model__backbone=dict(_delete_=True, **frozen_cfg(weights)),
                           shortcuts__init=['model.backbone.backbone.init_cfg.checkpoint'], **options)
    cfg.default_hooks.pop('noise')  # which changes the statistics of the backbone
    return cfg


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Folder of images, weights of the backbone, and the folder of a run."""
    from mmengine.registry import init_default_scope
    init_default_scope('mmseg')
    folder = tmp_path_factory.mktemp('frozen')
    root, weights = write_images(folder / 'images', 8), write_weights(folder / 'weights.pth')
    train(frozen_run(root, folder / 'run', weights))
    return root, weights, folder / 'run'


def checkpoint_of(run) -> str:
    return str(run[2] / f'epoch_{EPOCHS}.pth')


def test_the_checkpoint_and_the_log(run):
    state = final(run[2])['state_dict']
    inside = {name for name in state if 'backbone' in name}
    assert inside and all(name.endswith('backbone.identity') for name in inside)
    assert final(run[2])['meta']['weights_seen'] == 'nothing but noise'
    log = next(run[2].glob('*/*.log')).read_text()
    lines = re.findall(r'.*frozen ResNet.*', log)
    assert len(lines) == 1 and lines[0].endswith(f'({run[1]}), not in the checkpoints')
    assert 'labels seen by the initial weights: nothing but noise' in log


def test_resumed_equals_uninterrupted(run, tmp_path):
    root, weights, whole = run
    train(frozen_run(root, tmp_path, weights), ('train', 1, True), terminate)
    train(frozen_run(root, tmp_path, weights, resume=True))
    assert differences(final(whole), final(tmp_path)) == []


def predicted(*args, **kwargs) -> list:
    inferencer = UnsupInferencer(None, *args, device='cpu', show_progress=False, **kwargs)
    return inferencer, [prediction['ids'] for prediction in inferencer(run_images(args[0]))['predictions']]


def run_images(checkpoint: str) -> str:
    from pathlib import Path
    return str(Path(checkpoint).parent.parent / 'images')


def test_predictions_are_those_of_the_trained_model(run):
    """By the config inside the checkpoint, which names the weights of what is frozen and of nothing else."""
    inferencer, maps = predicted(checkpoint_of(run))
    runner = Runner.from_cfg(frozen_run(*run[:1], run[2], run[1], load_from=checkpoint_of(run)))
    runner.load_or_resume()
    image = cv2.imread(list_inputs(run[0])[0])
    shown = inferencer(image)['predictions'][0]['ids']
    assert np.array_equal(shown, maps[0]) and len(np.unique(np.stack([m.ravel()[:100] for m in maps]))) > 1
    inputs = torch.randn(1, 3, 64, 64)
    runner.model.eval()
    assert torch.equal(runner.model.cluster_scores(inputs), inferencer.model.cluster_scores(inputs))
