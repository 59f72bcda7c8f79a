"""How often a training waits for its device: what is read from it holds up all that is to be queued behind."""
from collections import Counter

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_unsup.engine.feature_pass import NonFiniteError
from ..slow_device import Waiting, move
from .test_mask_contrast_training import folders, tiny_config as mask_contrast_config  # noqa: F401, a fixture
from .test_methods import MDC, iic_runner
from .test_non_finite import changed, poison
from .tiny import tiny_runner

pytestmark = pytest.mark.filterwarnings('ignore')
BATCH = dict(train_dataloader__batch_size=2)


class Enough(Exception):
    pass


class Watch(Hook):
    """Places where the host waits, of the clustering and of each step of the first epoch; ends the run after three."""
    priority = 'HIGHEST'

    def __init__(self, waiting):
        self.waiting, self.steps, self.start = waiting, [], 0

    def before_train_epoch(self, runner):
        self.waiting.places.clear()

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.steps.append(Counter(self.waiting.places))
        self.waiting.places.clear()
        if batch_idx == 3:
            raise Enough


def watch(runner):
    """Waits of the clustering, and of the second and third step, which are alike."""
    with Waiting() as waiting:
        move(runner.model)
        hook = Watch(waiting)
        runner.register_hook(hook)
        with pytest.raises(Enough):
            runner.train()
    clustering, _, second, third = hook.steps  # the first step asks whether there are prototypes
    assert second == third
    return clustering, third


@pytest.mark.parametrize('method', ['picie', 'mdc', 'iic'])
def test_steps_do_not_wait(image_folder, tmp_path, method):
    make = iic_runner if method == 'iic' else tiny_runner
    runner = make(image_folder, tmp_path, model__backbone__base_channels=4, model__neck__in_channels=[4, 8, 16, 32],
                  **BATCH, **(MDC if method == 'mdc' else {}))
    clustering, step = watch(runner)
    assert not step
    algorithm = ('kmeans.py', 'seeding.py', 'streaming.py', 'backends.py', 'pca.py', 'weights.py')
    others = Counter({place.partition('/')[2]: n for place, n in clustering.items()
                      if not place.partition('/')[2].startswith(algorithm)})
    n_sets = dict(picie=2, mdc=2, iic=0)[method]
    once = {'feature_pass.py:check_not_collapsed': n_sets, 'pixel_clustering_hook.py:<genexpr>': n_sets,
            'pixel_clustering_hook.py:_log_clusters': 3 * n_sets, 'mdc.py:restart': 2}
    assert {*others} <= {*once} and all(n <= once[place] for place, n in others.items())  # none for each batch


def test_steps_of_mask_contrast_wait_for_sizes(folders, tmp_path):  # noqa: F811
    """The largest object id; the anchors, those whose object is in the other view, and the objects that are."""
    _, step = watch(Runner.from_cfg(mask_contrast_config(folders, tmp_path, **BATCH)))
    assert step == {'mmseg_unsup/mask_contrast.py:_contrast': 3, 'mmseg_unsup/pooling.py:object_rows': 1}


def run(root, work_dir, on_device, bad_steps=(), **options):
    runner = tiny_runner(root, work_dir, max_epochs=2, **BATCH, **options)
    with Waiting() as waiting:
        if on_device:
            move(runner.model)
        states = poison(runner, bad_steps) if bad_steps else None
        waiting.places.clear()
        try:
            runner.train()
        except NonFiniteError as error:
            return states, runner.model.state_dict(), str(error)
    return runner


def test_what_is_read_later_is_the_same(image_folder, tmp_path):
    """Log, checkpoint and weights of a run whose losses the host reads a step later."""
    files = []
    for on_device in (False, True):
        run(image_folder, tmp_path / str(on_device), on_device)
        files.append(torch.load(tmp_path / str(on_device) / 'epoch_2.pth', weights_only=False))
    plain, deferred = files
    assert all(torch.equal(value, deferred['state_dict'][key]) for key, value in plain['state_dict'].items())
    logs = [{key: value for key, value in file['message_hub']['log_scalars'].items() if 'time' not in key}
            for file in files]
    assert logs[0].keys() == logs[1].keys() and 'train/loss_cross' in logs[0]
    for key, history in logs[0].items():
        assert str(history) == str(logs[1][key]) or all(
            (a == b).all() for a, b in zip(history.data, logs[1][key].data)), key


@pytest.mark.parametrize('bad', [4, 7])
def test_a_bad_step_on_a_device_leaves_the_weights_alone(image_folder, tmp_path, bad):
    """It is noticed after the next step was queued, or at the end of the epoch; the optimiser has left it out."""
    states, end, message = run(image_folder, tmp_path, True, bad_steps=[bad])
    assert f'iteration {bad + 1} (epoch 2) is not finite' in message and f'{tmp_path}/epoch_1.pth' in message
    after = [*states, end][bad + 1]
    params = [key for key in end if key.startswith(('backbone', 'neck')) and 'running' not in key and 'num' not in key]
    assert params and not set(changed(states[bad], after)) & set(params)
    assert all(tensor.isfinite().all() for key, tensor in end.items() if key in params)
    assert not (tmp_path / 'epoch_2.pth').exists()
