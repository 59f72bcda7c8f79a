"""The list of images that a run could not read."""
import os.path as osp

from mmengine.dist import all_gather_object, get_world_size, is_main_process
from mmengine.hooks import Hook

from ...datasets import ViewDataset
from ...registry import HOOKS
from ...utils.atomic import replacing


@HOOKS.register_module()
class UnreadableImagesHook(Hook):
    """With ``on_error='skip'``, says after each epoch how many images could not be read, and lists them in a file.

    The file has one path a line, sorted, of all ranks, of the training images and those of ``probe_dataloader``; a
    resumed run adds to it.

    Args:
        filename: below the work directory.
    """

    def __init__(self, filename: str = 'unreadable_images.txt') -> None:
        self.filename = filename

    def after_train_epoch(self, runner) -> None:
        """Gather, count, write."""
        loaders = [runner.train_dataloader, getattr(runner, '_probe_dataloader', None)]
        own = [dataset.unreadable() for dataset in (getattr(loader, 'dataset', None) for loader in loaders)
               if isinstance(dataset, ViewDataset)]
        by_rank = all_gather_object(own) if get_world_size() > 1 else [own]
        if not is_main_process() or not any(paths for lists in by_rank for paths in lists):
            return
        path = osp.join(runner.work_dir, self.filename)
        known = set()
        if osp.isfile(path):
            with open(path) as file:
                known = set(file.read().splitlines())
        everything = sorted(known.union(*(paths for lists in by_rank for paths in lists)))
        with replacing(path) as part, open(part, 'w') as file:
            file.writelines(f'{name}\n' for name in everything)
        train = sorted({name for lists in by_rank for name in lists[0]})
        if train:
            runner.logger.warning(f'{len(train)} of {len(runner.train_dataloader.dataset)} images could not be read '
                                  f'and were replaced by others, for example {train[0]}; {path} lists all')
