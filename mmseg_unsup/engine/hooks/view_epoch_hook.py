"""Tells the data which epoch it is."""
from mmengine.hooks import Hook

from ...registry import HOOKS
from ..feature_pass import check_view_loader, set_view_key


@HOOKS.register_module()
class ViewEpochHook(Hook):
    """Sets the epoch of sampler and :class:`mmseg_unsup.ViewDataset` before anything reads the loader.

    mmengine's own ``DistSamplerSeedHook`` does the sampler's part too late for a clustering before the epoch.
    """

    priority = 'HIGH'

    def before_train(self, runner) -> None:
        """Fail before the first image is read if the loader cannot give keyed views."""
        check_view_loader(runner.train_dataloader, 'training on views')

    def before_train_epoch(self, runner) -> None:
        """Key the views of this epoch."""
        set_view_key(runner.train_dataloader, runner.seed, runner.epoch)
