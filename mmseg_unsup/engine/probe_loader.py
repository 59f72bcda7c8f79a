"""The loaders of training images without augmentation, for what is fitted beside the training."""
import copy

from torch.utils.data import DataLoader

from .feature_pass import check_view_loader
from .preemption import protect_workers

_KEY = 'probe_dataloader'
_LABELLED_KEY = 'labelled_probe_dataloader'


def probe_dataloader(runner) -> DataLoader:
    """Build ``probe_dataloader`` of the config on first use; later calls give the same loader.

    Its dataset is a :class:`mmseg_unsup.ViewDataset` with one view, made by the transforms of evaluation.

    Raises:
        KeyError: the config has none.
        TypeError: it is of the wrong kind.
    """
    return _build_once(runner, _KEY, 'a loader of the training images with the transforms of evaluation, as in '
                       'configs/_base_/datasets/')


def labelled_probe_dataloader(runner) -> DataLoader:
    """The same of ``labelled_probe_dataloader``, whose samples carry ``gt_sem_seg``: for probes that need labels.

    Raises:
        KeyError: the config has none.
        TypeError: it is of the wrong kind.
        ValueError: its data set gives no labels.
    """
    loader = _build_once(runner, _LABELLED_KEY, 'a loader of the training images and their labels with the transforms '
                         'of evaluation, as in configs/probe/')
    if not loader.dataset.with_labels:
        raise ValueError(f'{_LABELLED_KEY} would drop the labels: set dataset.with_labels=True in it')
    if 'seg_map_path' not in loader.dataset.dataset.get_data_info(0):
        raise ValueError(f'the data set of {_LABELLED_KEY} has no labels: set dataset.dataset.data_prefix.seg_map_path '
                         'in it')
    return loader


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
