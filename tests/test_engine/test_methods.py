"""MDC and IIC train through the same runner, and compute what they say."""
import pytest
import torch
import torch.nn.functional as F

from mmseg_unsup.functional import unit, view_features
from mmseg_unsup.models.losses import iic_loss
from .tiny import tiny_runner

MDC = dict(model__type='mmseg_unsup.MDC', model__over_clustering=[('2x', 3.)],
           train_dataloader__dataset__pipeline__2__num_views=1)


def iic_runner(root, work_dir, **options):
    """The PiCIE configuration with the model and without the clustering replaced."""
    from mmengine.runner import Runner

    from .tiny import tiny_config
    cfg = tiny_config(root, work_dir, **options)
    for key in ('target_generator', 'temperature'):
        cfg.model.pop(key)
    cfg.model.update(type='mmseg_unsup.IIC', num_sub_heads=3, over_clustering=[('2x', 1.)], max_displacement=1)
    cfg.default_hooks.pop('clustering')
    return Runner.from_cfg(cfg)


def first_batch(runner):
    return runner.model.data_preprocessor(next(iter(runner.train_dataloader)), True)


def test_mdc_trains_on_one_view(image_folder, tmp_path):
    runner = tiny_runner(image_folder, tmp_path, max_epochs=2, **MDC)
    runner.train()
    model = runner.model
    assert [tuple(level.prototypes.shape) for level in model.levels] == [(1, 3, 16), (1, 6, 16)]
    batch = first_batch(runner)
    assert len(batch['inputs']) == 1
    model.train()
    loss = model.loss(**batch)['loss_cluster']
    feat, = (unit(feat) for feat in view_features(model.student_map, batch['inputs'], batch['data_samples']))
    expected = 0.
    for share, level, linear, (labels, ) in zip((0.25, 0.75), model.levels, model.classifiers,
                                                model.target_generator(batch['inputs'], batch['data_samples'])):
        logits = torch.einsum('nchw,kc->nkhw', feat, linear.weight) + linear.bias[:, None, None]
        expected += share * F.cross_entropy(logits, labels, level.class_weights[0])
    torch.testing.assert_close(loss, expected)


def test_mdc_with_prototypes_is_the_within_view_loss_of_picie(image_folder, tmp_path):
    runner = tiny_runner(image_folder, tmp_path, model__classifier='prototypes', **MDC)
    runner.train()
    model, batch = runner.model, first_batch(runner)
    assert not list(model.classifiers.parameters())
    model.train(False)
    feat, = (unit(feat) for feat in view_features(model.student_map, batch['inputs'], batch['data_samples']))
    labels = model.target_generator(batch['inputs'], batch['data_samples'])
    expected = sum(share * F.cross_entropy(
        torch.einsum('nchw,kc->nkhw', feat, level.prototypes[0]) / 0.1, of_view, level.class_weights[0])
        for share, level, (of_view, ) in zip((0.25, 0.75), model.levels, labels))
    torch.testing.assert_close(model.loss(**batch)['loss_cluster'], expected)


def test_classifiers_start_anew_at_each_clustering(image_folder, tmp_path):
    """Weights as at the start of an epoch, by seed and epoch, and no moments of the optimiser from before."""
    runner = tiny_runner(image_folder, tmp_path, max_epochs=1, **MDC)
    runner.train()
    hook = next(hook for hook in runner.hooks if type(hook).__name__ == 'PixelClusteringHook')
    state, params = runner.optim_wrapper.optimizer.state, list(runner.model.classifiers.parameters())
    assert all(param in state for param in params)
    weights = []
    for _ in range(2):
        hook.fit(runner)
        weights.append(runner.model.classifiers[0].weight.clone())
        assert not any(param in state for param in params) and runner.model.backbone.conv1.weight in state
    assert torch.equal(*weights) and not runner.model.classifiers[0].bias.any()
    assert float(weights[0].std()) == pytest.approx(0.01, rel=0.3)
    runner.train_loop._epoch += 1
    hook.fit(runner)
    assert not torch.equal(runner.model.classifiers[0].weight, weights[0])


def test_iic_trains_and_predicts_by_its_best_sub_head(image_folder, tmp_path):
    runner = iic_runner(image_folder, tmp_path, max_epochs=2)
    head, classifiers = runner.model.decode_head, runner.model.clusters['classifier']
    before = classifiers.classifiers[0].weight.clone()
    runner.train()
    assert not torch.equal(before, classifiers.classifiers[0].weight)
    assert classifiers.running_loss.shape == (3, ) and (classifiers.running_loss < 0).all()
    classifiers.running_loss.copy_(torch.tensor([-0.1, -0.3, -0.2]))
    feats = torch.randn(2, 16, 4, 4)
    torch.testing.assert_close(head((feats, ), ['classifier']), classifiers.classifiers[1](feats))
    assert head.clusters.default == 'fresh' and [*head.clusters] == ['fresh', 'classifier', 'over1_classifier']


def test_iic_loss_of_a_batch(image_folder, tmp_path):
    """The mean over heads of the mean over sub-heads, on the two views brought to one grid."""
    runner = iic_runner(image_folder, tmp_path)
    runner.train()
    model, batch = runner.model, first_batch(runner)
    model.train()
    losses = model.loss(**batch)
    first, second = view_features(model.student_map, batch['inputs'], batch['data_samples'], apart=True)
    for name, level in zip(('loss_iic', 'loss_iic_over'), model.levels):
        terms = [iic_loss(conv(first).softmax(1), conv(second).softmax(1), max_displacement=1)
                 for conv in level.sets[0].classifiers]
        torch.testing.assert_close(losses[name], sum(terms) / 3 / 2)
    assert model.clusters['over1_classifier'].n_clusters == 6 and len(losses) == 2
    sum(losses.values()).backward()
    assert model.backbone.conv1.weight.grad.abs().sum() > 0


@pytest.mark.parametrize('options, message', [
    (dict(MDC, model__classifier='linear'), "there is no model.classifier 'linear' .* give one of learnable, "
     "prototypes"),
    (dict(MDC, train_dataloader__dataset__pipeline__2__num_views=2),
     'makes 2 views of an image, but the method labels 1: set num_views=1 of mmseg_unsup.MakeViews'),
    (dict(MDC, model__temperature=-1), 'temperature must be a positive number, but it is -1'),
])
def test_bad_options_of_mdc(image_folder, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        tiny_runner(image_folder, tmp_path, **options).train()
