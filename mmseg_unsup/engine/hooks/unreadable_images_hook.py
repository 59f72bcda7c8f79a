"""The list of images that a run could not read."""
import os.path as osp
from typing import List

from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook

from ...registry import HOOKS
from ...utils.atomic import replacing
from ...utils.console import warn_once
from ...utils.paths import printable


@HOOKS.register_module()
class UnreadableImagesHook(Hook):
    """With ``on_error='skip'``, says after each pass how many images could not be read, and lists them in a file.

    The file has one path a line, sorted, of all ranks: the images of training, of ``probe_dataloader``, and those that
    predictions are made for. A resumed run adds to it. Names that are not UTF-8 keep their bytes.

    Args:
        filename: below the work directory.
    """

    def __init__(self, filename: str = 'unreadable_images.txt') -> None:
        self.filename = filename

    def after_train_epoch(self, runner) -> None:
        self._report(runner, 'were replaced by others', runner.train_dataloader)

    def after_val_epoch(self, runner, metrics=None) -> None:
        self._report(runner, 'have no prediction', runner.val_dataloader, with_fits=False)

    def after_test_epoch(self, runner, metrics=None) -> None:
        self._report(runner, 'have no prediction', runner.test_dataloader)

    def _report(self, runner, consequence: str, loader, with_fits: bool = True) -> None:
        """Gather, count, write; images of what was fitted before are listed, but not counted."""
        others = [getattr(runner, '_probe_dataloader', None)] if with_fits else []
        own = [_unreadable(each) for each in (loader, *others)]
        by_rank = all_gather_object(own)
        found = {path for lists in by_rank for paths in lists for path in paths}
        if not is_main_process() or not found:
            return
        path = osp.join(runner.work_dir, self.filename)
        encoding = dict(encoding='utf-8', errors='surrogateescape')
        if osp.isfile(path):
            with open(path, **encoding) as file:
                found.update(file.read().splitlines())
        with replacing(path) as part, open(part, 'w', **encoding) as file:
            file.writelines(f'{name}\n' for name in sorted(found))
        counted = sorted({name for lists in by_rank for name in lists[0]})
        if counted:
            warn_once(f'{len(counted)} of {len(loader.dataset)} images could not be read and {consequence}, '
                      f'for example {printable(counted[0])}; {path} lists all', f'{len(counted)} that {consequence}')


def _unreadable(loader) -> List[str]:
    """Paths that the data set of a loader could not read; none of one that has no such policy."""
    return loader.dataset.unreadable() if hasattr(getattr(loader, 'dataset', None), 'unreadable') else []
