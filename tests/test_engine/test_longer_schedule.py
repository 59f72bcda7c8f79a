"""A learning rate that falls until the end of a run, when the run is continued for longer."""
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import LinearLR, PolyLR

from mmseg_unsup.engine import FullPolyLR, LongerScheduleHook


def schedule(cls, end, **kwargs) -> PolyLR:
    weight = torch.nn.Parameter(torch.zeros(1))
    return cls(torch.optim.SGD([dict(params=weight), dict(params=torch.nn.Parameter(weight), lr=0.3)], lr=0.1),
               end=end, power=0.9, **{'eta_min': 0.001, **kwargs})


def resumed_runner(schedules: list, configs: list, length: int) -> SimpleNamespace:
    return SimpleNamespace(param_schedulers=schedules, logger=MMLogger.get_current_instance(), max_epochs=length,
                           max_iters=length, cfg=Config(dict(param_scheduler=configs)))


def rates(of: PolyLR, steps: int) -> list:
    """After each of so many epochs."""
    found = []
    for _ in range(steps):
        of.optimizer.step()
        of.step()
        found.append([group['lr'] for group in of.optimizer.param_groups])
    return found


@pytest.mark.parametrize('cls, config, n_epochs', [(PolyLR, dict(end=6), 9), (PolyLR, {}, 6), (FullPolyLR, {}, 6)])
def test_the_rate_is_that_of_the_longer_run_from_there_on(cls, config, n_epochs):
    short, resumed, long = (schedule(cls, end) for end in (3, 6, 6))
    rates(short, 2)
    resumed.load_state_dict(short.state_dict())
    resumed.optimizer.load_state_dict(short.optimizer.state_dict())
    expected = rates(long, 5)
    runner = resumed_runner([resumed], [dict(type=cls.__name__, **config)], n_epochs)
    LongerScheduleHook().before_train(runner)
    assert [group['lr'] for group in resumed.optimizer.param_groups] == pytest.approx(expected[1])
    for found, wanted in zip(rates(resumed, 3), expected[2:]):
        assert found == pytest.approx(wanted)
    before = resumed.state_dict()
    LongerScheduleHook().before_train(runner)  # nothing is left to change
    assert resumed.state_dict() == before


@pytest.mark.parametrize('begin', [0, 3])
@pytest.mark.parametrize('n_steps', [1, 5, 8])
def test_of_iterations_with_a_warm_up(begin, n_steps):
    """Continued in the warm-up, before or beside which this schedule begins, after it, and at the end."""

    def pair(end):
        falling = schedule(PolyLR, end, begin=begin, by_epoch=False, eta_min=0.)
        return [LinearLR(falling.optimizer, start_factor=0.1, begin=0, end=3, by_epoch=False), falling]

    def follow(schedules, steps):
        found = []
        for _ in range(steps):
            schedules[0].optimizer.step()
            for each in schedules:
                each.step()
            found.append([group['lr'] for group in schedules[0].optimizer.param_groups])
        return found

    short, resumed, long = pair(8), pair(20), pair(20)
    follow(short, n_steps)
    for of_short, of_resumed in zip(short, resumed):
        of_resumed.load_state_dict(of_short.state_dict())
    resumed[0].optimizer.load_state_dict(short[0].optimizer.state_dict())
    LongerScheduleHook().before_train(resumed_runner(resumed, [dict(type='LinearLR'), dict(type='PolyLR')], 20))
    for found, wanted in zip(follow(resumed, 19 - n_steps), follow(long, 19)[n_steps:]):
        assert found == pytest.approx(wanted)
