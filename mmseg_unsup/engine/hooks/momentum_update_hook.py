"""Moves the key branch of a model behind its weights."""
from mmengine.hooks import Hook

from ...registry import HOOKS
from ..feature_pass import unwrap


@HOOKS.register_module()
class MomentumUpdateHook(Hook):
    """One step of the moving average per optimiser step, also where gradients are accumulated.

    The average moves after the step, so that a checkpoint has what the next iteration uses.

    Raises:
        TypeError: the model has no key branch.
    """

    priority = 'ABOVE_NORMAL'  # before a checkpoint is written

    def before_train(self, runner) -> None:
        """Copy the weights that are there now, after initialisation and loading, unless the run is resumed."""
        model = unwrap(runner.model)
        if not hasattr(model, 'update_key_branch'):
            raise TypeError(f'MomentumUpdateHook needs a model with a key branch, but got {type(model).__name__}: use '
                            'it with mmseg_unsup.MaskContrast, or take it out of default_hooks')
        model.start_key_branch()

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Follow an optimiser step."""
        if runner.optim_wrapper.should_update():
            unwrap(runner.model).update_key_branch()
