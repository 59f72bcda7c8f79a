"""A run on a frozen backbone, from its log to what is predicted, exported and continued from its checkpoint."""
import os.path as osp
import re
import shutil

import cv2
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.runner import Runner

from mmseg_unsup.apis import UnsupInferencer
from mmseg_unsup.apis.export import export_segmentor
from mmseg_unsup.apis.image_input import list_inputs
from mmseg_unsup.converters.extract_backbone import extract_backbone
from mmseg_unsup.registry import MODELS
from mmseg_unsup.utils.distributed import open_process_group
from mmseg_unsup.weights import identity_text, read_part, weights_identity
from ..conftest import write_images
from ..test_models.test_frozen_backbone import frozen_cfg, write_weights
from .resuming import EPOCHS, differences, final, resumable_config, terminate, train
from .test_resume_ranks import free_port, join

pytestmark = pytest.mark.filterwarnings('ignore')


def frozen_run(root, work_dir, weights, **options):
    cfg = resumable_config('picie', root, work_dir, model__backbone=dict(_delete_=True, **frozen_cfg(weights)),
                           shortcuts__init=['model.backbone.backbone.init_cfg.checkpoint'], **options)
    cfg.default_hooks.pop('noise')  # which changes the statistics of the backbone
    cfg.init = weights
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


def inferencer_of(checkpoint, **options) -> UnsupInferencer:
    """As `mmseg-unsup predict` has it: by the config inside the checkpoint."""
    return UnsupInferencer(None, str(checkpoint), device='cpu', show_progress=False, options=options)


def test_predictions_are_those_of_the_trained_model(run):
    root, weights, folder = run
    runner = Runner.from_cfg(frozen_run(root, folder, weights, load_from=str(folder / f'epoch_{EPOCHS}.pth')))
    runner.load_or_resume()  # into a model that has not been initialised, as in an evaluation
    inputs = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = inferencer_of(folder / f'epoch_{EPOCHS}.pth').model
    assert torch.equal(found.cluster_scores(inputs), runner.model.eval().cluster_scores(inputs))
    assert isinstance(found, MODELS.get('mmseg_unsup.PiCIE')) and len(found.cluster_scores(inputs).unique()) > 3


def test_files_that_have_been_moved_or_changed(run, tmp_path):
    """The config inside the checkpoint says where the weights are, the checkpoint says which they are."""
    root, weights, folder = run
    checkpoint, moved = str(folder / f'epoch_{EPOCHS}.pth'), str(tmp_path / 'moved.pth')
    expected = read_part(checkpoint).state
    assert [*expected] and all(torch.equal(value, torch.load(weights)['state_dict'][name])
                               for name, value in expected.items())
    shutil.move(weights, moved)
    try:
        for reads in (inferencer_of, read_part):
            with pytest.raises(ValueError, match=f'frozen .*whose file {weights} is not there: name '):
                reads(checkpoint)
        assert inferencer_of(checkpoint, init=moved).model.backbone.fingerprint
        write_weights(weights, 1)
        with pytest.raises(ValueError, match=f'but those of {weights} are'):
            inferencer_of(checkpoint)
        with pytest.raises(ValueError, match=f'{weights} has the weights .* of the frozen backbone whose checkpoint'):
            extract_backbone(checkpoint, str(tmp_path / 'out.pth'), 'mmseg')
    finally:
        shutil.move(moved, weights)


def test_other_files_hold_the_weights(run, tmp_path):
    root, weights, folder = run
    checkpoint = str(folder / f'epoch_{EPOCHS}.pth')
    assert f'120 backbone tensors of {weights}' in extract_backbone(checkpoint, str(tmp_path / 'out.pth'), 'mmseg')
    written = torch.load(tmp_path / 'out.pth')['state_dict']
    assert not differences(torch.load(weights)['state_dict'], written)
    images = [cv2.imread(path)[:64, :64, ::-1].copy() for path in list_inputs(root)[:2]]
    model = inferencer_of(checkpoint).model
    model.backbone.float16 = True  # image by image, and rounded
    # which checks that the maps are equal
    export_segmentor(model, str(tmp_path / 'model.onnx'), images)
    assert osp.getsize(tmp_path / 'model.onnx') > sum(value.nbytes for name, value in written.items()
                                                      if name.endswith('weight'))


def two_processes(rank, port, root, folder, weights) -> None:
    join(rank, port)
    for name, stops in (('whole', False), ('run', True)):
        for resume in (False, True)[:1 + stops]:
            cfg = frozen_run(root, folder / name, weights, resume=resume)
            cfg.launcher, cfg.randomness = 'pytorch', dict(seed=0, diff_rank_seed=True)
            open_process_group(cfg)
            train(cfg, ('train', 1, True) if stops and not resume else None, terminate if rank == 1 else lambda: None)
    dist.destroy_process_group()


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.skipif(torch.cuda.is_available(), reason='tests the launch without a GPU')
def test_two_processes(run, tmp_path):
    """The mean of the buffers over processes, after every epoch, does not change the identity."""
    root, weights, _ = run
    mp.start_processes(two_processes, (free_port(), root, tmp_path, weights), nprocs=2, start_method='fork')
    assert differences(final(tmp_path / 'whole'), final(tmp_path / 'run')) == []
    identity = final(tmp_path / 'run')['state_dict']['backbone.identity']
    assert identity_text(identity) == identity_text(weights_identity(torch.load(weights)['state_dict']))
