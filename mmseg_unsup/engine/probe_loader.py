"""The loaders of training images without augmentation, for what is fitted beside the training."""
import copy

from torch.utils.data import DataLoader

from ..datasets.transforms import LoadLabels
from ..utils.preemption import protect_workers
from .feature_pass import check_view_loader

_KEY = 'probe_dataloader'
_LABELLED_KEY = 'labelled_probe_dataloader'


def probe_dataloader(runner) -> DataLoader:
    """Build ``probe_dataloader`` of the config on first use; later calls give the same loader.

    Its dataset is a :class:`mmseg_unsup.ViewDataset` with one view, made by the transforms of evaluation. Raises
    KeyError if the config has none, TypeError if it is of the wrong kind.
    """
    return _build_once(runner, _KEY, 'a loader of the training images with the transforms of evaluation, as '
                       'view_loader and probe_pipeline of mmseg_unsup.presets make it')


def labelled_probe_dataloader(runner) -> DataLoader:
    """The same of ``labelled_probe_dataloader``, whose samples carry ``gt_sem_seg``: for probes that need labels.
    Raises ValueError if its data set gives none."""
    loader = _build_once(runner, _LABELLED_KEY, 'a loader of the training images and their labels with the transforms '
                         'of evaluation, as labelled_probe_loader of mmseg_unsup.presets makes it')
    if not loader.dataset.with_labels:
        raise ValueError(f'{_LABELLED_KEY} would drop the labels: set dataset.with_labels=True in it')
    if 'seg_map_path' not in loader.dataset.dataset.get_data_info(0):
        raise ValueError(f'the data set of {_LABELLED_KEY} has no labels: set dataset.dataset.data_prefix.seg_map_path '
                         'in it')
    return loader


def loader_of_fits(runner, needs_labels: bool, reads_labels: bool) -> DataLoader:
    """The loader for fits that need labels or do not, but in whose pass others may read them.

    Args:
        reads_labels: others do; they share the labelled loader if it gives the same images in the same way.
    """
    if needs_labels:
        return labelled_probe_dataloader(runner)
    plain = probe_dataloader(runner)
    if not reads_labels:
        return plain
    labelled = labelled_probe_dataloader(runner)
    if not hasattr(runner, '_labels_are_extra'):  # lists of files may be long
        runner._labels_are_extra = _facts(plain) == _facts(labelled)
    return labelled if runner._labels_are_extra else plain


def _facts(loader: DataLoader) -> tuple:
    """What decides which images a loader gives, in which order, batches and state."""
    sampler, dataset = loader.sampler, loader.dataset
    steps = [(type(step), vars(step)) for step in dataset.pipeline.transforms if not isinstance(step, LoadLabels)]
    paths = [dataset.dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
    return loader.batch_size, loader.drop_last, sampler.shuffle, sampler.seed, dataset.on_error, steps, paths


def _build_once(runner, key: str, purpose: str) -> DataLoader:
    loader = getattr(runner, f'_{key}', None)
    if loader is None:
        config = runner.cfg.get(key)
        if config is None:
            raise KeyError(f'the config has no {key}: {purpose}')
        loader = runner.build_dataloader(copy.deepcopy(config), seed=runner.seed)
        check_view_loader(loader, key)
        protect_workers(loader)
        setattr(runner, f'_{key}', loader)
    return loader
