"""The score before training, to know what training adds."""
from typing import List

from mmengine.hooks import Hook

from ...registry import HOOKS
from ..feature_pass import unwrap


@HOOKS.register_module()
class InitialEvaluationHook(Hook):
    """Runs the validation once, after the first clustering and before the first step; not again in a resumed run."""

    # after clustering (ABOVE_NORMAL), before PhaseTimerHook (LOWEST) starts the clock of the training
    priority = 'VERY_LOW'

    def evaluations(self, runner) -> List[int]:
        """The epoch that it precedes, see :func:`mmseg_unsup.engine.forecast.evaluations`."""
        return [0] * (runner.iter == 0 and runner.val_loop is not None)

    def before_train_epoch(self, runner) -> None:
        if runner.iter == 0 and runner.val_loop is not None:
            model = unwrap(runner.model)
            if hasattr(model, 'check_ready'):  # what the first step would refuse need not wait for the evaluation
                model.check_ready()
            runner.logger.info('evaluation before training')
            runner.val_loop.run()
