"""A page about the run."""
import functools
import os.path as osp
import platform
import time
from importlib import metadata
from typing import Dict

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from ...registry import HOOKS
from ...utils.run_logs import read_run_log
from ...version import __version__
from ..feature_pass import unwrap
from .cluster_pictures_hook import ClusterPicturesHook
from .initialization_hook import InitializationHook

_MODULES = ('torch', 'mmengine', 'mmcv', 'mmseg', 'mmpretrain', 'faiss', 'numpy')


@HOOKS.register_module()
class ReportHook(Hook):
    """Writes ``report.html`` after every evaluation and at the end of the training: scores, curves, seconds per phase,
    images a second, pictures of the clusters, settings, versions, and what the weights have seen.

    It is one file that needs nothing else. A continued run reports on all of its parts. Without a
    ``LocalVisBackend``, whose log it reads, there is none.

    Args:
        filename: below the work directory.
    """

    priority = 'LOWEST'  # when scores and seconds are logged

    def __init__(self, filename: str = 'report.html') -> None:
        self.filename = filename
        self.results = dict(report=filename)  # see run_facts.result_files

    def before_train(self, runner) -> None:
        self._start = time.time()

    def after_val_epoch(self, runner, metrics=None) -> None:
        self._write(runner)

    def after_train(self, runner) -> None:
        path = self._write(runner)
        if path:
            runner.logger.info(f'report: {path}')

    def _write(self, runner) -> str:
        """Path of the page, or an empty text."""
        from ...visualization.html import write_page
        from ...visualization.report_page import RunFacts, render_report
        if not is_main_process():
            return ''
        try:
            log = read_run_log(runner.work_dir)
        except FileNotFoundError as error:
            runner.logger.info(f'no {self.filename}: {error}')
            return ''
        n_images = runner.world_size * len(runner.train_dataloader.sampler)
        pictures = next((hook.pictures for hook in runner.hooks if isinstance(hook, ClusterPicturesHook)), {})
        facts = RunFacts(
            title=osp.splitext(osp.basename(runner.cfg.filename or 'run'))[0],
            unit='epoch' if 'max_epochs' in runner.cfg.train_cfg else 'iteration',
            n_images=n_images,
            facts=self._facts(runner, n_images),
            software=software(),
            settings=runner.cfg.pretty_text,
            pictures={name.replace('_', ' '): picture for name, picture in pictures.items()})
        path = osp.join(runner.work_dir, self.filename)
        write_page(path, render_report(facts, log), flush=False)
        return path

    def _facts(self, runner, n_images: int) -> Dict[str, str]:
        seen = next((hook.weights_seen for hook in runner.hooks if isinstance(hook, InitializationHook)), None)
        trained = sum(parameter.numel() for parameter in unwrap(runner.model).parameters() if parameter.requires_grad)
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or 'CPU'
        seconds = round(time.time() - self._start)
        facts = {
            'Progress': f'{runner.epoch} of {runner.max_epochs} epochs',
            'Training images': f'{n_images:,}',
            'Labels the weights have seen': seen,
            'Trained parameters': f'{trained / 1e6:.1f} M',
            'Seed': str(runner.seed),
            'Processes': f'{runner.world_size} on {device}',
            'Since the last start': f'{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02} h',
        }
        return {name: value for name, value in facts.items() if value is not None}


@functools.lru_cache  # it reads the list of files of every distribution
def software() -> Dict[str, str]:
    """Name -> version of what computed here."""
    versions = {'mmseg_unsup': __version__, 'Python': platform.python_version()}
    providers = metadata.packages_distributions()
    for module in _MODULES:
        for distribution in dict.fromkeys(providers.get(module, [])):
            versions[distribution] = metadata.version(distribution)
    return versions
