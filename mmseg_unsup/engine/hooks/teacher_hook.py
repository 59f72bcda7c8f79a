"""What follows the weights of a model moves behind them."""
from mmengine.hooks import Hook

from ...registry import HOOKS
from ..feature_pass import unwrap


@HOOKS.register_module()
class TeacherHook(Hook):
    """Starts a model's teacher, and moves it once per optimiser step, also where gradients are accumulated.

    It moves after the step, so that a checkpoint has what the next iteration uses. Models without a teacher, and those
    of mmseg, are left alone.
    """

    priority = 'BELOW_NORMAL'  # after the projection of the neck was set, and before a checkpoint is written

    def before_train(self, runner) -> None:
        """Copy the weights that are there now, after initialisation and loading, unless the run is resumed."""
        model = unwrap(runner.model)
        if hasattr(model, 'start'):
            model.start(is_new=runner.iter == 0)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Follow an optimiser step."""
        model, optim_wrapper = unwrap(runner.model), runner.optim_wrapper
        if hasattr(model, 'follow') and optim_wrapper.should_update():
            model.follow(steps_per_epoch=len(runner.train_dataloader) / optim_wrapper._accumulative_counts)
