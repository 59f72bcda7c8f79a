"""The loader of training images without augmentation, for what is fitted beside the training."""
import copy

from torch.utils.data import DataLoader

from .feature_pass import check_view_loader

_KEY = 'probe_dataloader'


def probe_dataloader(runner) -> DataLoader:
    """Build ``probe_dataloader`` of the config on first use; later calls give the same loader.

    Its dataset is a :class:`mmseg_unsup.ViewDataset` with one view, made by the transforms of evaluation.

    Raises:
        KeyError: the config has none.
        TypeError: it is of the wrong kind.
    """
    loader = getattr(runner, '_probe_dataloader', None)
    if loader is None:
        config = runner.cfg.get(_KEY)
        if config is None:
            raise KeyError(f'the config has no {_KEY}: a loader of the training images with the transforms of '
                           'evaluation, as in configs/_base_/datasets/')
        loader = runner.build_dataloader(copy.deepcopy(config), seed=runner.seed)
        check_view_loader(loader, _KEY)
        runner._probe_dataloader = loader
    return loader
