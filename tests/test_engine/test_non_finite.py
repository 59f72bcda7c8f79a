"""A loss that is not finite: the run stops before a weight changes, or leaves the step out."""
import pytest
import torch

from mmseg_unsup.engine.feature_pass import NonFiniteError
from .tiny import tiny_runner

pytestmark = pytest.mark.filterwarnings('ignore')


def poison(runner, bad_steps, value: float = float('nan')) -> list:
    """Spoil the images of these training steps; the weights and buffers before each step, as they come to be."""
    model, states = runner.model, []

    def spoil(module, inputs, output):
        if not model.training:
            return output
        states.append({key: tensor.clone() for key, tensor in model.state_dict().items()})
        if len(states) - 1 in bad_steps:
            output['inputs'] = [view * value for view in output['inputs']]
        return output

    model.data_preprocessor.register_forward_hook(spoil)
    return states


def changed(first: dict, second: dict) -> list:
    return [key for key in first if not torch.equal(first[key], second[key])]


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_the_run_stops_before_weights_change(image_folder, tmp_path, value):
    runner = tiny_runner(image_folder, tmp_path, max_epochs=3)
    states = poison(runner, [3], value)
    with pytest.raises(NonFiniteError) as error:
        runner.train()
    message = str(error.value)
    assert 'iteration 4 (epoch 2) is not finite' in message
    assert f'the last good checkpoint is {tmp_path}/epoch_1.pth' in message
    runner.train_dataloader.sampler.set_epoch(1)
    indices = list(runner.train_dataloader.sampler)[4:]
    for path in (runner.train_dataloader.dataset.dataset.get_data_info(i)['img_path'] for i in indices):
        assert path in message
    params = [key for key, _ in runner.model.named_parameters()]
    assert not set(changed(states[3], runner.model.state_dict())) & set(params)
    assert not (tmp_path / 'epoch_2.pth').exists()


def test_a_skipped_step_changes_nothing(image_folder, tmp_path):
    runner = tiny_runner(image_folder, tmp_path, max_epochs=2, default_hooks__non_finite__action='skip')
    states = poison(runner, [1])
    optimizer = []
    runner.model.data_preprocessor.register_forward_hook(
        lambda *_: optimizer.append(len(runner.optim_wrapper.optimizer.state)) if runner.model.training else None)
    runner.train()
    good, bad = changed(states[0], states[1]), changed(states[1], states[2])
    assert 'backbone.conv1.weight' in good and 'backbone.bn1.running_mean' in good
    # the clustering of the next epoch is all that happened in between
    assert all(key.startswith(('target_generator.', 'decode_head.')) for key in bad)
    assert all(tensor.isfinite().all() for tensor in runner.model.state_dict().values())
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert 'step skipped: the loss or a gradient of iteration 2 (epoch 1) is not finite' in log


def test_endless_skipping_ends(image_folder, tmp_path):
    runner = tiny_runner(image_folder, tmp_path, max_epochs=3, default_hooks__non_finite__action='skip',
                         default_hooks__non_finite__max_skips=2)
    poison(runner, range(99))
    with pytest.raises(NonFiniteError, match='iteration 3 .*last good checkpoint is .*epoch_1.pth'):
        runner.train()


def test_features_of_a_clustering(image_folder, tmp_path):
    runner = tiny_runner(image_folder, tmp_path)
    with torch.no_grad():
        runner.model.neck.laterals[0].bias.fill_(float('nan'))
    runner._has_loaded = True  # no principal components
    with pytest.raises(NonFiniteError, match=r'clustering epoch 1: the features of the batch .*\.jpg.* are not finite'):
        runner.train()


def test_unknown_action(image_folder, tmp_path):
    with pytest.raises(ValueError, match="action='ignore' is not one of"):
        tiny_runner(image_folder, tmp_path, default_hooks__non_finite__action='ignore')
