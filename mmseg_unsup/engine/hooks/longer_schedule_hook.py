"""A falling learning rate of a run that is continued for longer than it was begun."""
from mmengine.hooks import Hook
from mmengine.optim import PolyLR

from ...registry import HOOKS
from ...utils.console import say
from ..schedulers import FullPolyLR


@HOOKS.register_module()
class LongerScheduleHook(Hook):
    """Gives a resumed :class:`mmengine.optim.PolyLR` of epochs the ``end`` of the config, which is that of the training
    where it has none, and the learning rate that it has there.

    A checkpoint brings the schedule of its own run, which has fallen to its end: what is trained after that would be
    trained with next to no learning rate.
    """

    def before_train(self, runner) -> None:
        for schedule, config in zip(runner.param_schedulers or [], runner.cfg.get('param_scheduler') or []):
            if not isinstance(schedule, PolyLR) or not schedule.by_epoch:
                continue
            end = config.get('end', runner.max_epochs)
            last = end + isinstance(schedule, FullPolyLR)
            if schedule.end != last:
                self._stretch(schedule, last)
                say(f'the learning rate falls until epoch {end} now')

    @staticmethod
    def _stretch(schedule: PolyLR, end: int) -> None:
        schedule.end, schedule.total_iters = end, end - schedule.begin - 1
        share = max(1 - schedule.last_step / schedule.total_iters, 0)**schedule.power
        for group, base in zip(schedule.optimizer.param_groups, schedule.base_values):
            group[schedule.param_name] = schedule.eta_min + (base - schedule.eta_min) * share
        schedule._last_value = [group[schedule.param_name] for group in schedule.optimizer.param_groups]
