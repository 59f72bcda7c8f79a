"""How often a training waits for its device: what is read from it holds up all that is to be queued behind."""
import os
import signal
from collections import Counter
from contextlib import nullcontext

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_unsup.utils import preemption
from mmseg_unsup.engine.feature_pass import NonFiniteError
from ..slow_device import NAME, Waiting, move
from .test_mask_contrast_training import folders, tiny_config as mask_contrast_config  # noqa: F401, a fixture
from .test_methods import MDC, iic_runner
from .test_non_finite import changed, poison
from .tiny import FLOAT32, tiny_runner

pytestmark = pytest.mark.filterwarnings('ignore')
BATCH = dict(train_dataloader__batch_size=2)
# the device that only says it is one has no mixed precision
SMALL = dict(model__backbone__base_channels=4, model__neck__in_channels=[4, 8, 16, 32], **FLOAT32, **BATCH)


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
    runner = make(image_folder, tmp_path, **SMALL, **(MDC if method == 'mdc' else {}))
    clustering, step = watch(runner)
    assert not step
    algorithm = 'lloyd.py', 'kmeans.py', 'seeding.py'  # an iteration waits, a batch does not
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


def test_what_is_read_later_is_the_same(image_folder, tmp_path):
    """Log, checkpoint and weights of a run whose losses the host reads a step later."""
    files = []
    for name in ('plain', 'deferred'):
        runner = tiny_runner(image_folder, tmp_path / name, **SMALL)
        with Waiting() if name == 'deferred' else nullcontext():
            if name == 'deferred':
                move(runner.model)
            runner.train()
        files.append(torch.load(tmp_path / name / 'epoch_1.pth', weights_only=False))
    plain, deferred = files
    assert all(torch.equal(value, deferred['state_dict'][key]) for key, value in plain['state_dict'].items())
    logs = [{key: value for key, value in file['message_hub']['log_scalars'].items() if 'time' not in key}
            for file in files]
    assert logs[0].keys() == logs[1].keys() and 'train/loss_cross' in logs[0]
    for key, history in logs[0].items():
        assert str(history) == str(logs[1][key]) or all(
            (a == b).all() for a, b in zip(history.data, logs[1][key].data)), key


def test_a_bad_step_on_a_device_leaves_the_weights_alone(image_folder, tmp_path):
    """It is noticed after the next step was queued; the optimiser has left it out."""
    runner = tiny_runner(image_folder, tmp_path, **SMALL)
    with Waiting():
        move(runner.model)
        states = poison(runner, [1])
        with pytest.raises(NonFiniteError, match=r'iteration 2 \(epoch 1\) is not finite'):
            runner.train()
    params = [key for key, _ in runner.model.named_parameters()]
    good, bad, after = (changed(*pair) for pair in zip(states, [*states[1:], runner.model.state_dict()]))
    assert set(good) & set(params) and not set(bad) & set(params)
    assert set(after) & set(params)  # the third step had been made
    assert not (tmp_path / 'epoch_1.pth').exists()


def test_ranks_that_talk_by_gpus_stop_a_safe_point_later(monkeypatch):
    monkeypatch.setattr(preemption, 'get_world_size', lambda: 2)
    monkeypatch.setattr(preemption, 'get_comm_device', lambda: NAME)
    with Waiting() as waiting, preemption.listening():
        preemption.stop_if_asked()
        os.kill(os.getpid(), signal.SIGUSR1)
        preemption.stop_if_asked()
        with pytest.raises(preemption.Preempted):
            preemption.stop_if_asked()
    assert not waiting.places
