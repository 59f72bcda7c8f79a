"""A falling learning rate of a run that is continued for longer than it was begun."""
from mmengine.hooks import Hook
from mmengine.optim import PolyLR

from ...registry import HOOKS
from ...utils.console import say
from ..schedulers import FullPolyLR


@HOOKS.register_module()
class LongerScheduleHook(Hook):
    """Gives a resumed :class:`mmengine.optim.PolyLR` the ``end`` of the config, which is that of the training where it
    has none, and the learning rate that it has there.

    A checkpoint brings the schedule of its own run, which has fallen to its end: what is trained after that would be
    trained with next to no learning rate.
    """

    def before_train(self, runner) -> None:
        for schedule, config in zip(runner.param_schedulers or [], runner.cfg.get('param_scheduler') or []):
            if not isinstance(schedule, PolyLR):
                continue
            unit, length = ('epoch', runner.max_epochs) if schedule.by_epoch else ('iteration', runner.max_iters)
            end = config.get('end', length)
            last = end + isinstance(schedule, FullPolyLR)
            if schedule.end != last:
                self._stretch(schedule, last)
                say(f'the learning rate falls until {unit} {end} now')

    @staticmethod
    def _stretch(schedule: PolyLR, end: int) -> None:
        former = _share(schedule)
        schedule.end, schedule.total_iters = end, end - schedule.begin - 1
        if schedule.last_step < 0:  # another one is at work still
            return
        schedule.last_step = min(schedule._global_step, end - 1) - schedule.begin  # it stood still at its former end
        name, low = schedule.param_name, schedule.eta_min
        for group, base in zip(schedule.optimizer.param_groups, schedule.base_values):
            # what it would be without this schedule: in a warm-up beside it, less than the base
            whole = (group[name] - low) / former if former else base - low
            group[name] = low + whole * _share(schedule)
        schedule._last_value = [group[schedule.param_name] for group in schedule.optimizer.param_groups]


def _share(schedule: PolyLR) -> float:
    """Of the learning rate above its lowest, what is left at the step of a schedule."""
    return max(1 - schedule.last_step / schedule.total_iters, 0)**schedule.power
