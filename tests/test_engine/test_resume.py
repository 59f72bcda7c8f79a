"""resumed == uninterrupted, to the bit, wherever a run is stopped."""
import pytest
import torch

from ..conftest import write_images
from .resuming import CODES, EPOCHS, METHODS, differences, final, moments, resumable_config, terminate, train

N_PCA_BATCHES = 2  # of 4 images, before training

pytestmark = pytest.mark.filterwarnings('ignore')


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """Per method, an undisturbed run: its folder of images, its last checkpoint, the phases of its batches."""
    found = {}

    def run(method):
        if method not in found:
            folder = tmp_path_factory.mktemp(method)
            root = write_images(folder / 'images', 8)
            phases = train(resumable_config(method, root, folder / 'run'))
            found[method] = root, final(folder / 'run'), phases
        return found[method]

    return run


def test_the_moments_are_what_they_are_called(whole):
    _, _, phases = whole('picie')
    found = moments(phases)
    assert phases[found['in_clustering']] == ('train', 1, False) and len(found) == 5
    assert phases[found['in_fit']] == ('train', 0, False) and found['end_of_epoch'] < found['in_fit']
    assert phases[found['mid_epoch'] - 1] == phases[found['mid_epoch'] + 1] == ('train', 1, True)


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('moment', ['mid_epoch', 'end_of_epoch', 'in_clustering', 'in_fit', 'in_evaluation',
                                    'last_batch'])
def test_resumed_equals_uninterrupted(whole, tmp_path, method, moment):
    phases = whole(method)[-1]
    at = dict(moments(phases), last_batch=len(phases) - 1).get(moment)
    if at is None:
        pytest.skip(f'{method} has no clustering before an epoch')
    assert_exact(method, whole(method), tmp_path, at)


def assert_exact(method, undisturbed, folder, at):
    """Stopped at batch ``at``, a run reads no further batch than that, and ends in the same state."""
    root, expected, phases = undisturbed
    # methods of codes cluster nothing between their fits and the first step
    n_before = phases.index(('train', 0, True)) if method in CODES else N_PCA_BATCHES
    stopped = train(resumable_config(method, root, folder), at, terminate)
    assert len(stopped) == at + 1
    # before the first epoch there is nothing to keep: the run starts anew
    assert (folder / 'preempted.pth').exists() == (at >= n_before)
    train(resumable_config(method, root, folder, resume=True))
    assert differences(expected, final(folder)) == []
    assert not (folder / 'preempted.pth').exists()
    assert (folder / 'last_checkpoint').read_text() == str(folder / f'epoch_{EPOCHS}.pth')


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize('method', METHODS)
def test_every_moment(whole, tmp_path, method):
    """Every fourth batch of the run, of whatever pass, from before the first epoch to the last evaluation."""
    n_batches = len(whole(method)[-1])
    for at in range(list(METHODS).index(method) % 4, n_batches, 4):
        assert_exact(method, whole(method), tmp_path / str(at), at)


def test_the_comparison_sees_one_bit(whole):
    _, expected, _ = whole('picie')
    other = dict(expected, state_dict=dict(expected['state_dict']))
    weight = other['state_dict']['backbone.conv1.weight'].clone()
    weight[0, 0, 0, 0] = torch.nextafter(weight[0, 0, 0, 0], torch.tensor(9.))
    other['state_dict']['backbone.conv1.weight'] = weight
    assert differences(expected, other) == ['/state_dict/backbone.conv1.weight']


@pytest.mark.parametrize('options, message', [
    (dict(train_dataloader__batch_size=4), 'batch_size 2 then and 4 now'),
    (dict(train_cfg=dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=2)), 'ResumableTrainLoop. can continue'),
])
def test_a_place_inside_an_epoch_that_this_run_does_not_have(whole, tmp_path, options, message):
    root, _, phases = whole('picie')
    train(resumable_config('picie', root, tmp_path), moments(phases)['mid_epoch'] - 1, terminate)
    with pytest.raises(ValueError, match=message):
        train(resumable_config('picie', root, tmp_path, resume=True, **options))


def test_gradients_of_an_unfinished_accumulation_are_kept(whole, tmp_path):
    """Three steps to an update: the place is inside one."""
    root, _, phases = whole('picie')
    options = dict(optim_wrapper__accumulative_counts=3)
    train(resumable_config('picie', root, tmp_path / 'whole', **options))
    train(resumable_config('picie', root, tmp_path / 'run', **options), moments(phases)['mid_epoch'] - 1, terminate)
    kept = torch.load(tmp_path / 'run' / 'preempted.pth', weights_only=True)['run_state']['ranks'][0]['gradients']
    assert len(kept) > 60
    train(resumable_config('picie', root, tmp_path / 'run', resume=True, **options))
    assert differences(final(tmp_path / 'whole'), final(tmp_path / 'run')) == []


def test_epochs_of_fewer_steps_than_there_are_batches(tmp_path):
    """Two of four batches, of another order in every epoch; a run is continued inside one, too."""
    root = write_images(tmp_path / 'images', 8)
    options = dict(train_cfg__steps_per_epoch=2)
    phases = train(resumable_config('stego', root, tmp_path / 'whole', **options))
    steps = [i for i, (phase, _, is_training) in enumerate(phases) if phase == 'train' and is_training]
    assert [phases[i][1] for i in steps] == [0, 0, 1, 1] and final(tmp_path / 'whole')['meta']['iter'] == 4
    train(resumable_config('stego', root, tmp_path / 'run', **options), steps[2], terminate)
    train(resumable_config('stego', root, tmp_path / 'run', resume=True, **options))
    assert differences(final(tmp_path / 'whole'), final(tmp_path / 'run')) == []
