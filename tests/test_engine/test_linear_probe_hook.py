"""A linear probe that is trained along: it learns, and the method learns nothing of it."""
import pytest
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.runner import Runner

from mmseg_unsup.engine.hooks import LinearProbeHook
from mmseg_unsup.presets import eval_pipeline, labelled_probe_loader
from mmseg_unsup.registry import MODELS
from .resuming import differences, final, terminate, train
from .tiny import tiny_codes_config

pytestmark = pytest.mark.filterwarnings('ignore')
SIZE, N_IMAGES, STEPS = 32, 48, 6  # pixels, training images, and steps in an epoch


@MODELS.register_module()
class ColourAndEdges(BaseModule):
    """What a cell of 4 x 4 pixels looks like: its mean colour, and the mean contrast in it."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))  # what a checkpoint can know it by

    def forward(self, images):
        pooled = F.avg_pool2d(images, 4)
        contrast = F.avg_pool2d((images - F.interpolate(pooled, images.shape[2:])).abs(), 4)
        return (self.scale * torch.cat([pooled, contrast], 1), )


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    return str(tmp_path_factory.mktemp('scenes') / 'scenes')


def config(scenes, work_dir, max_epochs=2, probe=True, **options):
    """STEGO on procedural scenes, of features that were made by hand."""
    options = {
        'model__backbone': dict(_delete_=True, type='mmseg_unsup.FrozenBackbone', float16=True,
                                backbone=dict(type='mmseg_unsup.ColourAndEdges')),
        'model__neck__in_channels': 6, 'model__n_points': 3, 'default_hooks__checkpoint__max_keep_ckpts': -1, **options}
    cfg = tiny_codes_config('stego', scenes, work_dir, n_clusters=6, max_epochs=max_epochs, **options)
    for key, split in dict(train='train', probe='train', val='val', test='val').items():
        images = dict(type='mmseg_unsup.ProceduralScenes', data_root=scenes, indices=N_IMAGES // 2 * (
            1 + (split == 'train')), data_prefix=dict(img_path=f'images/{split}', seg_map_path=f'labels/{split}'))
        loader = cfg[f'{key}_dataloader']
        loader.batch_size = N_IMAGES // STEPS
        if split == 'train':
            loader.dataset.dataset = images
            cfg.labelled_probe_dataloader = labelled_probe_loader(images, SIZE, loader.batch_size, num_workers=0)
        else:
            loader.dataset = dict(images, pipeline=eval_pipeline(SIZE))
    names = ['cluster', 'fresh'] + ['linear'] * probe
    cfg.val_evaluator = cfg.test_evaluator = [
        dict(type='mmseg_unsup.ClusterIoUMetric', prediction=name, prefix=name, show_table=False,
             match='identity' if name == 'linear' else 'hungarian') for name in names]
    if probe:
        cfg.default_hooks.linear_probe = dict(type='mmseg_unsup.LinearProbeHook', lr=0.05)
    return cfg


def test_it_ends_where_a_probe_of_the_finished_codes_does(scenes, tmp_path):
    runner = Runner.from_cfg(config(scenes, tmp_path, 8, feature_cache=str(tmp_path / 'cache')))
    runner.train()
    along, = (hook for hook in runner.hooks if isinstance(hook, LinearProbeHook))
    expected = runner.val_loop.run()
    after = LinearProbeHook(lr=0.05)
    runner._hooks = [hook for hook in runner.hooks if hook is not along] + [after]
    after.before_train(runner)
    for step in range(along.probe.n_steps):
        after.after_train_iter(runner, step)
    found = runner.val_loop.run()
    assert along.probe.n_steps == 8 * STEPS and expected['linear/aAcc'] > 50
    for score in ('linear/aAcc', 'linear/mIoU'):
        assert found[score] == pytest.approx(expected[score], abs=1)
    assert not torch.equal(after.probe.weight, along.probe.weight)


def test_nothing_but_the_probe_learns_from_labels(scenes, tmp_path):
    """The gradient of every other parameter is None, and the run is the same without it."""
    train(config(scenes, tmp_path / 'without', probe=False))
    runner = Runner.from_cfg(config(scenes, tmp_path / 'with'))
    runner.train()
    hook, = (hook for hook in runner.hooks if isinstance(hook, LinearProbeHook))
    runner.optim_wrapper.zero_grad(set_to_none=True)
    hook.before_train(runner)
    hook.after_train_iter(runner, 0)
    assert hook.probe.weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in runner.model.parameters()) and runner.model.training
    without, with_it = (final(tmp_path / name) for name in ('without', 'with'))
    assert with_it.pop('probe_linear')['n_steps'] == 2 * STEPS
    assert differences(without['state_dict'], with_it['state_dict']) == []
    assert differences(without['run_state']['ranks'], with_it['run_state']['ranks']) == []


def test_resumed_equals_uninterrupted_and_is_evaluated(scenes, tmp_path, tool):
    train(config(scenes, tmp_path / 'whole'))
    train(config(scenes, tmp_path / 'run'), ('train', 1, True), terminate)
    assert torch.load(tmp_path / 'run' / 'preempted.pth')['probe_linear']['n_steps'] == STEPS + 1
    train(config(scenes, tmp_path / 'run', resume=True, feature_cache=str(tmp_path / 'cache')))
    assert differences(final(tmp_path / 'whole'), final(tmp_path / 'run')) == []
    path = str(tmp_path / 'run' / 'epoch_2.pth')
    found = Runner.from_cfg(config(scenes, tmp_path / 'test', load_from=path)).test()
    last = Runner.from_cfg(config(scenes, tmp_path / 'last', load_from=str(tmp_path / 'whole' / 'epoch_2.pth'))).test()
    assert found['linear/mIoU'] == last['linear/mIoU'] > 10


def test_what_cannot_be(scenes, tmp_path):
    train(config(scenes, tmp_path / 'without', 1, probe=False))
    path = str(tmp_path / 'without' / 'epoch_1.pth')
    with pytest.raises(ValueError, match="the checkpoint has no probe 'linear' that was trained along: leave out"):
        Runner.from_cfg(config(scenes, tmp_path / 'test', load_from=path)).test()
    cfg = config(scenes, tmp_path / 'run')
    cfg.default_hooks.linear_probe.features = 'tokens'
    with pytest.raises(ValueError, match="reads the features 'tokens', but STEGO has .'features', 'codes'."):
        Runner.from_cfg(cfg).train()


def test_probes_in_validation_beside_clusters_that_are_yet_to_be_fitted(scenes, tmp_path):
    """A set that a k-means makes for each evaluation is none of the model's when the metrics are checked."""

    def probed(work_dir, **options):
        cfg = config(scenes, work_dir, 1, probe=False, **options)
        cfg.default_hooks.probes = dict(type='mmseg_unsup.ProbeHook', on_val=True,
                                        probes=[dict(type='mmseg_unsup.LinearProbe', epochs=2)])
        cfg.val_evaluator.append(dict(cfg.val_evaluator[0], prediction='linear', prefix='linear', match='identity'))
        cfg.test_evaluator = cfg.val_evaluator
        return cfg

    runner = Runner.from_cfg(probed(tmp_path / 'run'))
    runner.train()
    scores = runner.val_loop.run()
    assert scores['fresh/aAcc'] > 50 and scores['linear/aAcc'] > 50
    path = tmp_path / 'run' / 'epoch_1.pth'
    checkpoint = torch.load(path, weights_only=False)
    fresh = 'decode_head.clusters.fresh.weight'
    checkpoint['state_dict'][fresh] = checkpoint['state_dict'][fresh][:0]
    torch.save(checkpoint, path)  # as one from inside an epoch
    found = Runner.from_cfg(probed(tmp_path / 'val', load_from=str(path))).val()
    assert {key: found[key] for key in scores} == scores
    cfg = probed(tmp_path / 'never')
    del cfg.default_hooks.fresh_kmeans
    with pytest.raises(ValueError, match="scores the set 'fresh', but the probes predict .'linear'. and the model"):
        Runner.from_cfg(cfg).train()
