"""PriMaPs-EM in a run: its start, its masks, and prototypes of another method."""
import pytest
import torch
import torch.nn.functional as F
from mmengine.runner import Runner

from mmseg_unsup.engine.probe_loader import probe_dataloader
from mmseg_unsup.functional import NO_MASK, mask_log_probabilities, principal_masks
from .tiny import tiny_codes_config

pytestmark = pytest.mark.filterwarnings('ignore')


def run(root, work_dir, **options) -> Runner:
    runner = Runner.from_cfg(tiny_codes_config('primaps', root, work_dir, **options))
    runner.train()
    return runner


def test_the_start_and_the_masks(image_folder, tmp_path):
    """All of it before the first step, which a learning rate of 0 then leaves as it was."""
    runner = run(image_folder, tmp_path, model__neck__in_channels=[8, 16, 32, 64], optim_wrapper__optimizer__lr=0.,
                 default_hooks__masks__enlarge=2, default_hooks__masks__max_masks=3)
    model, cells = runner.model.eval(), []
    for data in probe_dataloader(runner):
        data = model.data_preprocessor(data, False)
        with torch.no_grad():
            feats = model.predicting_map(data['inputs'][0])
        cells.append(feats.permute(0, 2, 3, 1).flatten(0, 2).double())
        for image, sample in zip(feats, data['data_samples']):
            masks = principal_masks(image.float(), max_masks=3)
            scores = F.interpolate(mask_log_probabilities(masks)[None], scale_factor=2., mode='bilinear')
            expected = scores[0].argmax(0) - 1
            found = model.masks[sample.sample_idx].long()
            assert torch.equal(found, torch.where(expected < 0, NO_MASK, expected)) and len(masks) > 1
    directions = torch.linalg.svd(torch.cat(cells) - torch.cat(cells).mean(0), full_matrices=False)[2][:3]
    same = (directions.float() * model.clusters['cluster'].student.weight).sum(1)
    torch.testing.assert_close(same.abs(), torch.ones(3), atol=1e-3, rtol=0)
    assert model.is_starting and not any('masks' in name for name in model.state_dict())


def test_on_top_of_stego(image_folder, tmp_path):
    stego = Runner.from_cfg(tiny_codes_config('stego', image_folder, tmp_path / 'stego', model__n_points=4,
                                              train_dataloader__dataset__n_neighbours=3,
                                              model__backbone__keep_in_checkpoint=True))
    stego.train()
    source, options = stego.model, dict(variant='stego', model__backbone__keep_in_checkpoint=True)
    with pytest.raises(ValueError, match='model.neck is a ResidualProjection with random weights.*set load_from to'):
        run(image_folder, tmp_path / 'none', load_from=None, **options)
    model = run(image_folder, tmp_path / 'run', load_from=str(tmp_path / 'stego' / 'epoch_1.pth'), **options).model
    for name, value in source.neck.state_dict().items():
        assert torch.equal(model.neck.state_dict()[name], value)
    started, clusters = source.clusters['cluster'].weight, model.clusters['cluster']
    assert torch.equal(clusters.teacher.weight, started)  # which follows after ten steps
    moved = (clusters.student.weight - started).abs().amax()
    assert 0 < float(moved) < 0.1 and model.masks.shape[1:] == (8, 8) and not model.is_starting
