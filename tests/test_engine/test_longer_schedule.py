"""A learning rate that falls until the end of a run, when the run is continued for longer."""
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import PolyLR

from mmseg_unsup.engine import FullPolyLR, LongerScheduleHook


def schedule(cls, end, **kwargs) -> PolyLR:
    weight = torch.nn.Parameter(torch.zeros(1))
    return cls(torch.optim.SGD([dict(params=weight), dict(params=torch.nn.Parameter(weight), lr=0.3)], lr=0.1),
               begin=0, end=end, power=0.9, eta_min=0.001, **kwargs)


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
    runner = SimpleNamespace(param_schedulers=[resumed], logger=MMLogger.get_current_instance(), max_epochs=n_epochs,
                             cfg=Config(dict(param_scheduler=[dict(type=cls.__name__, **config)])))
    LongerScheduleHook().before_train(runner)
    assert [group['lr'] for group in resumed.optimizer.param_groups] == pytest.approx(expected[1])
    for found, wanted in zip(rates(resumed, 3), expected[2:]):
        assert found == pytest.approx(wanted)
    before = resumed.state_dict()
    LongerScheduleHook().before_train(runner)  # nothing is left to change
    assert resumed.state_dict() == before
