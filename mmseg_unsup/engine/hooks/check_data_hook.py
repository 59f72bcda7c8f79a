"""Faults of the data that would end a run after hours, or let it do nothing."""
import copy
from typing import Iterator

from mmengine.dataset import DefaultSampler
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop
from torch.utils.data import Dataset

from ...datasets.checking import check_label_sample
from ...registry import DATASETS, HOOKS
from ...utils.checks import check_count
from ...utils.distributed import on_first_rank
from ..feature_pass import unwrap


@HOOKS.register_module()
class CheckDataHook(Hook):
    """Before anything is computed: an epoch has a step, and a sample of the label maps fits its images and classes.

    ``tools/check_data.py`` opens all files.

    Args:
        label_maps: of every data set that reads labels, evenly spaced; 0 for none.

    Raises:
        LabelError: a label map of the sample cannot be used; on all ranks.
        ValueError: there are fewer training images than a batch or the method needs, or no epoch.
    """

    # after the run owns its folder, and before it looks for a checkpoint
    priority = 'VERY_HIGH'

    def __init__(self, label_maps: int = 32) -> None:
        check_count('label_maps', label_maps, low=0)
        self.label_maps = label_maps

    def before_run(self, runner) -> None:
        if isinstance(runner._train_loop, BaseLoop):
            self._check_steps(runner)
        if self.label_maps:
            on_first_rank(lambda: [check_label_sample(dataset, self.label_maps) for dataset in _datasets(runner)])

    @staticmethod
    def _check_steps(runner) -> None:
        length = 'max_epochs' if isinstance(runner.train_loop, EpochBasedTrainLoop) else 'max_iters'
        check_count(f'train_cfg.{length}', getattr(runner.train_loop, length))
        loader, n_processes = runner.train_dataloader, get_world_size()
        if isinstance(loader.sampler, DefaultSampler) and not len(loader):
            n_images = len(loader.dataset)
            processes = f' on each of {n_processes} processes' if n_processes > 1 else ''
            remedy = (f'set train_dataloader.batch_size to {n_images // n_processes} or less'
                      if n_images >= n_processes else 'use fewer processes')
            raise ValueError(f'{n_images} training images do not fill a batch of {loader.batch_size}{processes}, so no '
                             f'step would be made: {remedy}, or add images')
        n_images, model = min(n_processes * (loader.batch_size or 2), len(loader.dataset)), unwrap(runner.model)
        if n_images < 2 and getattr(model, 'compares_images', False):
            raise ValueError(f'{type(model).__name__} compares an image with others of its batch, and there are none: '
                             f'train_dataloader.batch_size is {loader.batch_size} for {len(loader.dataset)} images, '
                             'set it to at least 2, or add images')


def _datasets(runner) -> Iterator[Dataset]:
    """Those that the run reads, and the one that probes will."""
    for loop in (runner._train_loop, runner._val_loop, runner._test_loop):
        if isinstance(loop, BaseLoop):
            yield loop.dataloader.dataset
    probe = runner.cfg.get('labelled_probe_dataloader')
    if probe is not None:
        yield DATASETS.build(copy.deepcopy(probe.dataset))
