"""Tells the data which epoch it is."""
import hashlib
import os
import os.path as osp
from typing import Optional

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from torch.utils.data import Dataset

from ...datasets import ViewDataset
from ...registry import HOOKS
from ...utils.distributed import check_ranks_agree
from ..feature_pass import check_view_loader, set_view_key


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
            check_ranks_agree({
                'the number of training images': len(dataloader.dataset),
                'the digest of their file names': names_digest(dataloader.dataset),
                'the number of epochs trained before': runner.epoch,
            }, 'give all machines the same images below data_root, and a work_dir that they share')

    def before_train_epoch(self, runner) -> None:
        set_view_key(runner.train_dataloader, runner.seed, runner.epoch)


def names_digest(dataset: Dataset) -> Optional[str]:
    """16 hex digits that depend on the names of all images below the data root, and on their order; None of a data set
    that lists no files."""
    source = dataset.dataset if isinstance(dataset, ViewDataset) else dataset
    if not hasattr(source, 'get_data_info') or not len(source) or 'img_path' not in source.get_data_info(0):
        return None
    root = getattr(source, 'data_root', None)
    digest = hashlib.sha256()
    for idx in range(len(source)):
        path = source.get_data_info(idx)['img_path']
        digest.update(os.fsencode(f'{osp.relpath(path, root) if root else path}\n'))
    return digest.hexdigest()[:16]
