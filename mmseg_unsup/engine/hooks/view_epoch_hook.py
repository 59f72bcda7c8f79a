"""Tells the data which epoch it is."""
from mmengine.dist import get_world_size
from mmengine.hooks import Hook

from ...registry import HOOKS
from ...utils.distributed import check_ranks_agree
from ..feature_pass import check_view_loader, set_view_key
from ..image_names import image_facts


@HOOKS.register_module()
class ViewEpochHook(Hook):
    """Sets the epoch of sampler and :class:`mmseg_unsup.ViewDataset` before anything reads the loader.

    mmengine's own ``DistSamplerSeedHook`` does the sampler's part too late for a clustering before the epoch.
    """

    priority = 'HIGH'

    def before_train(self, runner) -> None:
        """Fail before the first image is read if the loader cannot give keyed views, or ranks have other data.

        Raises:
            TypeError: loader of the wrong kind.
            ValueError: the images, or the epoch that the run starts from, differ between ranks; on all ranks.
        """
        dataloader = runner.train_dataloader
        check_view_loader(dataloader, 'training on views')
        if get_world_size() > 1:
            facts = image_facts('training', dataloader.dataset)
            if runner.val_loop is not None:
                facts.update(image_facts('evaluation', runner.val_dataloader.dataset))
            facts['the number of epochs trained before'] = runner.epoch
            check_ranks_agree(facts, 'give all machines the same images below data_root, and a work_dir that they '
                              'share')

    def before_train_epoch(self, runner) -> None:
        set_view_key(runner.train_dataloader, runner.seed, runner.epoch)
