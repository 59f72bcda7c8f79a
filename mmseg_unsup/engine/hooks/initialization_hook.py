"""Says what the weights of a run have seen, and that they are those that the config asked for."""
from typing import Optional

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop

from ...weights import add_labels, check_stock_initialization, check_unchanged, initial_source, initial_weights_seen
from ...weights.weights_seen import UNKNOWN, stated_labels
from ...datasets.titles import labels_of
from ...registry import HOOKS
from ...utils.run_logs import INITIALLY_SEEN, TRAINED_ON
from ..feature_pass import unwrap
from .probe_hook import check_any_tensor, check_feature_tensors

_PARTS = ('backbone', 'neck')


@HOOKS.register_module()
class InitializationHook(Hook):
    """Before the first step, checks the pre-trained parts, and before an evaluation alone, the checkpoint; writes into
    every checkpoint which labels it has seen.

    The statement, ``meta['weights_seen']``, is what the initial weights have seen and, unless the model has
    ``uses_labels = False``, the labels of the training set. :func:`mmseg_unsup.weights.weights_seen` reads it when
    the checkpoint starts another run.

    Args:
        weights_seen: labels that the initial weights have seen, ``'none'``, ``'ImageNet'`` or others by name, where
            their file does not say it; without it they are ``'unknown'``.

    Attributes:
        initially_seen (str): labels that the initial weights have seen; ``weights_seen`` with those of the training.
        trained_on (str): labels that a method of this package trains on, which else trains without; '' for none.

    Raises:
        ValueError, RuntimeError: a part does not hold the tensors of its file; a checkpoint is of another model.
    """

    priority = 'VERY_HIGH'

    def __init__(self, weights_seen: Optional[str] = None) -> None:
        self.stated = stated_labels(weights_seen) if weights_seen else UNKNOWN
        self.weights_seen = self.initially_seen = UNKNOWN
        self._of_checkpoint, self.trained_on = None, ''

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Remember what the loaded checkpoint says of itself; one that is only evaluated must be of this model, as
        mmengine would score random weights in the place of what it lacks, and one that starts a run have a part of
        it."""
        check = check_any_tensor if isinstance(runner._train_loop, BaseLoop) else check_feature_tensors
        check(unwrap(runner.model), checkpoint)
        self._of_checkpoint = (checkpoint.get('meta') or {}).get('weights_seen')

    def before_train(self, runner) -> None:
        model = unwrap(runner.model)
        if not runner._has_loaded:  # of a resumed run, the weights have moved on
            for part in _PARTS:
                if hasattr(model, part):
                    check_stock_initialization(getattr(model, part), part)
                    check_unchanged(getattr(model, part), part)
            if initial_source(model.backbone) is None:
                runner.logger.info('init: random backbone (its init_cfg names no checkpoint)')
        self.note_start(runner)
        if getattr(model, 'uses_labels', True):
            labels = labels_of(type(_innermost(runner.train_dataloader.dataset)).__name__)
            self.weights_seen = add_labels(self.initially_seen, labels)
            if hasattr(model, 'uses_labels'):  # of one of mmseg nobody expects anything else
                self.trained_on = labels
                runner.logger.warning(f'{TRAINED_ON}{labels}')

    def note_start(self, runner) -> None:
        """Find out what the weights that the model starts from have seen."""
        found = self._initial(runner, unwrap(runner.model))
        self.weights_seen = self.initially_seen = self.stated if found == UNKNOWN else found
        runner.logger.info(f'{INITIALLY_SEEN}{self.initially_seen}')

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        checkpoint['meta']['weights_seen'] = self.weights_seen

    def _initial(self, runner, model) -> str:
        if not runner._has_loaded:
            return initial_weights_seen(model.backbone)
        if self._of_checkpoint is not None:
            return self._of_checkpoint
        # a resumed run that was started by an older version began with the init_cfg that it still has
        return initial_weights_seen(model.backbone) if runner._resume else UNKNOWN


def _innermost(dataset):
    """The data set in all that wraps it."""
    while hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    return dataset
