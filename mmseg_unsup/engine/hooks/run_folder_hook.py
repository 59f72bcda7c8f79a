"""Tells the folder of a run that it begins."""
import logging
from typing import Dict

from mmengine.hooks import Hook

from ...utils.console import say
from ...utils.distributed import on_first_rank
from ..image_names import names_digest
from ..run_folder import RunFolder


class RunFolderHook(Hook):
    """Has the :class:`mmseg_unsup.engine.run_folder.RunFolder` record the run when all of it is built, and before
    anything is loaded or written. ``tools/train.py`` registers it.
    """

    priority = 'HIGHEST'

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def before_run(self, runner) -> None:
        on_first_rank(lambda: self.folder.begin(_images(runner)))
        has_checkpoints = on_first_rank(lambda: bool(self.folder.checkpoints()))
        if runner._resume and runner._load_from is None and not has_checkpoints:
            say(f'there is no checkpoint in {self.folder.path} to resume from: the run starts from its beginning',
                logging.WARNING)
            runner._resume = False


def _images(runner) -> Dict[str, dict]:
    """Loader -> number and digest of its images, of the data sets that list files."""
    datasets = dict(train_dataloader=runner.train_dataloader.dataset)
    if runner.val_loop is not None:
        datasets['val_dataloader'] = runner.val_dataloader.dataset
    digests = {name: names_digest(dataset) for name, dataset in datasets.items()}
    return {name: dict(number=len(datasets[name]), digest=digest) for name, digest in digests.items() if digest}
