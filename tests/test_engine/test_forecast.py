"""The time that a run will take: what it reads is counted, and measuring leaves no trace."""
from types import SimpleNamespace

import pytest
import torch
from mmengine.model import BaseDataPreprocessor

from mmseg_unsup.engine import forecast as module
from mmseg_unsup.engine.forecast import Cost, Forecast, Pass, evaluations, forecast, measure, planned_passes
from mmseg_unsup.engine.run_state import random_state
from mmseg_unsup.engine.feature_pass import unwrap
from ..conftest import write_camvid
from .resuming import METHODS, resumable_config
from .test_finetune import supervised_runner
from .tiny import tiny_runner

pytestmark = pytest.mark.filterwarnings('ignore')


def runner_of(method: str, root: str, folder):
    from mmengine.runner import Runner
    if method == 'supervised':
        write_camvid(folder / 'camvid')
        return supervised_runner(folder / 'camvid', folder / 'run', 'fpn', None, model__backbone__init_cfg=None,
                                 model__neck__init_cfg=None)
    return Runner.from_cfg(resumable_config(method, root, folder / 'run'))


def everything(runner) -> dict:
    """All that a step depends on."""
    state = {name: value.clone() for name, value in runner.model.state_dict().items()}
    state.update({f'grad of {name}': param.grad for name, param in runner.model.named_parameters()})
    state.update({f'mode of {name}': child.training for name, child in runner.model.named_modules()})
    generators = random_state()
    state.update(torch=generators['torch'], numpy=generators['numpy'][1], python=generators['python'])
    return state


@pytest.mark.parametrize('method', [*METHODS, 'supervised'])
def test_measuring_leaves_no_trace(method, image_folder, tmp_path):
    runner = runner_of(method, image_folder, tmp_path)
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner._val_loop = runner.build_val_loop(runner._val_loop)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    model = unwrap(runner.model)
    if hasattr(model, 'start'):
        model.start(is_new=True)
    before = everything(runner)
    cost = measure(runner, runner.train_dataloader, trains=True)
    expected = forecast(runner, planned_passes(runner), cost)
    assert before.keys() == everything(runner).keys()
    for name, value in everything(runner).items():
        same = torch.equal(before[name], value) if isinstance(value, torch.Tensor) else before[name] == value
        assert same, name
    assert cost.size == (32, 32) and min(cost.read, cost.forward, cost.step) > 0
    assert 0 < expected.seconds() < 600
    assert model.state_dict().keys() == {name for name in before if name in model.state_dict()}


def test_what_a_run_reads(image_folder, tmp_path):
    """Four epochs on eight images, scored before, after the second and after the fourth."""
    runner = tiny_runner(
        image_folder, tmp_path, max_epochs=4, train_cfg__val_interval=2, default_hooks__clustering__max_images=4,
        default_hooks__clustering__interval=2, default_hooks__initial_evaluation=dict(
            type='mmseg_unsup.InitialEvaluationHook'))
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner._val_loop = runner.build_val_loop(runner._val_loop)
    assert evaluations(runner) == [0, 1, 3]
    probe = module.planned_passes(runner)[2:]
    read = sorted((each.n_images, list(each.at)) for each in probe)
    # half of the images are clustered every other epoch; components, and k-means for each evaluation
    assert read == [(4, [0, 2]), (8, [0]), (8, [0, 1, 3])]
    training, scored = planned_passes(runner)[:2]
    assert training.trains and (training.n_images, list(training.at)) == (8, [0, 1, 2, 3])
    assert (scored.n_images, scored.at) == (8, [0, 1, 3])
    assert {k for each in probe for k, _ in each.fits(64)} == {3}
    runner._train_loop._epoch, runner._train_loop._iter = 2, 4  # of a resumed run
    assert evaluations(runner) == [3] and list(planned_passes(runner)[0].at) == [2, 3]


def test_seconds_are_those_of_the_slowest_part(monkeypatch):
    class Runner:
        model = SimpleNamespace(data_preprocessor=BaseDataPreprocessor())

    def seconds(n_workers, trains, read, forward, step):
        loader = torch.utils.data.DataLoader(range(4), num_workers=n_workers)
        cost = Cost(read, forward, step, (1, 1), 1, 1)
        return module._seconds(Runner, Pass(loader, 10, [0], trains), cost)

    monkeypatch.setattr(module, 'n_cores', lambda: 4)
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 2)
    assert seconds(0, False, 1., 2., 9.) == 30  # one after the other
    assert seconds(2, True, 8., 2., 3.) == 40  # two workers read
    assert seconds(8, True, 1., 1., 3.) == 30  # the step
    assert seconds(8, False, 8., 1., 3.) == 25  # four cores do all


def test_seconds_of_a_part_of_the_run():
    plan = Forecast([(range(4), 10.), ([0, 1, 3], 1.), ([0], 5.)])
    assert plan.seconds() == 48 and plan.seconds(2) == 21 and plan.seconds(0, 1) == 16
